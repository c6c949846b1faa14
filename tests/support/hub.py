"""The REST API and the login form of a JupyterHub."""

from __future__ import annotations

from typing import Any

import requests
from tests.support.waiting import wait_for


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
        found: dict[str, Any] = answer.json()["servers"]
        return found

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
