"""The REST API and the login form of a JupyterHub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests
from tests.support.waiting import wait_for

from kubernetes import client


class Hub:
    """The hub's REST API, with a token."""

    def __init__(self, url: str, token: str) -> None:
        """Take the hub's address as a browser has it, and an API token."""
        self.url = f"{url.rstrip('/')}/hub/api"
        self.session = requests.Session()
        self.session.trust_env = False  # a proxy of this computer does not lead to the hub
        self.session.headers["Authorization"] = f"token {token}"

    def ask(self, method: str, path: str, **json_body: Any) -> requests.Response:
        """Send one request, whatever the answer is."""
        return self.session.request(method, f"{self.url}{path}", json=json_body or None, timeout=30)

    def answers(self) -> bool:
        """Whether the hub answers now. A request to a pod that has just gone may hang, so it is cut short."""
        try:
            return self.session.get(f"{self.url}/info", timeout=5).ok
        except requests.RequestException:
            return False

    def servers(self, user: str) -> dict[str, Any]:
        """The servers of a user, by name; the default server's name is empty."""
        answer = self.ask("GET", f"/users/{user}")
        answer.raise_for_status()
        return answer.json()["servers"]

    def server_is_ready(self, user: str) -> bool:
        """Whether the user's default server can be worked with."""
        return bool(self.servers(user).get("", {}).get("ready"))

    def start(self, user: str, profile: str) -> None:
        """Start the user's default server, and wait until it is ready."""
        answer = self.ask("POST", f"/users/{user}/server", profile=profile)
        assert answer.status_code in (201, 202), answer.text
        wait_for(lambda: self.server_is_ready(user), f"the server of {user} does not start", 180)

    def stop(self, user: str) -> None:
        """Stop the user's default server, and wait until it is gone."""
        self.ask("DELETE", f"/users/{user}/server")
        wait_for(lambda: not self.servers(user), f"the server of {user} does not stop")


def address_of_hub(core: client.CoreV1Api) -> str:
    """The hub's address at the first node of a scenario's cluster."""
    return f"http://{core.list_node().items[0].status.addresses[0].address}:30080"


def log_in(hub_url: str, name: str, password: str) -> int:
    """Fill the login form in as a browser does, and return the status of the answer: 302 lets in."""
    page = f"{hub_url.rstrip('/')}/hub/login"
    with requests.Session() as session:
        session.trust_env = False
        session.get(page, timeout=30)
        form = {"username": name, "password": password, "_xsrf": session.cookies["_xsrf"]}
        answer = session.post(
            page, params={"next": "/hub/home"}, data=form, timeout=30, allow_redirects=False
        )
    return answer.status_code


class Browser:
    """A browser: it keeps cookies, follows redirects and says where its requests come from."""

    def __init__(self, url_of: Callable[[str], str]) -> None:
        """Start without cookies. `url_of` tells where a path is, which starts with a slash."""
        self.url_of = url_of
        self.session = requests.Session()
        self.session.trust_env = False
        self.visited: list[str] = []

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """Send one request and follow no redirect."""
        self.visited.append(path)
        return self.session.request(
            method, self.url_of(path), headers=headers, allow_redirects=False, timeout=60, **options
        )

    def visit(self, path: str) -> requests.Response:
        """Open an address as somebody does who clicks on a link."""
        for _ in range(12):
            answer = self.ask("GET", path, {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
            if answer.status_code not in (301, 302, 307, 308):
                return answer
            path = answer.headers["Location"]
        raise AssertionError(f"redirects without an end: {self.visited}")

    def fetch(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Send what a script of the page sends."""
        headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", **options.pop("headers", {})}
        return self.ask(method, path, headers, **options)

    def log_in(self, user: str, password: str, path: str = "/hub/home") -> requests.Response:
        """Open an address that leads to the login form, fill it in, and follow where it leads."""
        page = self.visit(path)
        assert "/hub/login" in self.visited[-1], self.visited
        form = {"username": user, "password": password, "_xsrf": self.xsrf("/hub/")}
        answer = self.ask("POST", self.visited[-1], data=form)
        assert answer.status_code == 302, (page.status_code, answer.text)
        return self.visit(answer.headers["Location"])

    def xsrf(self, path: str) -> str:
        """The token that the hub has set for its own forms."""
        return next(c.value or "" for c in self.session.cookies if c.name == "_xsrf" and c.path == path)

    def log_out(self) -> None:
        """Log out at the hub."""
        self.visit("/hub/logout")
