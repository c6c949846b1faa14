"""A small client of the hub's REST API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "timeout": {"type": "int", "default": 60},
}
MEANINGS = {
    401: "the hub does not know the token; it is hub.services.<name>.apiToken of the release's values",
    403: "the token may not do that; see the scopes in hub.loadRoles of the release's values",
    503: "the proxy is up, but the hub behind it is not; see the log of Deployment hub",
}


class HubError(Exception):
    """The hub refused a request or could not be reached."""

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the HTTP status of the hub's answer; 0 means that no answer came."""
        super().__init__(message)
        self.status = status


class HubApi:
    """A client for one hub, at its public address."""

    def __init__(self, url: str, token: str) -> None:
        """Remember where the hub is, and the token that is sent with each request."""
        self.url = url.rstrip("/")
        self._token = token
        # The computer's proxy is not used: it leads to the internet, and the hub is usually near.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send one request to a path below /hub/api. Return the parsed answer, or None if it is empty."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/hub/api{path}", data=data, method=method)
        request.add_header("Authorization", f"token {self._token}")
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/jupyterhub-pagination+json, application/json")
        try:
            with self._opener.open(request, timeout=30) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise HubError(
                f"{method} {request.full_url}: {error.code} {explain(error)}", error.code
            ) from error
        except OSError as error:
            raise HubError(
                f"{method} {request.full_url}: no answer ({getattr(error, 'reason', error)})"
            ) from error
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise HubError(
                f"{method} {request.full_url}: the answer is not a hub's; is the address right?"
            ) from error

    def find(self, path: str) -> Any:
        """Return what the hub has at a path, or None."""
        try:
            return self.request("GET", path)
        except HubError as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str) -> list[Any]:
        """Return all items of a list, of which the hub sends 200 at a time."""
        items: list[Any] = []
        for page in self._pages(path):
            items += page
        return items

    def table(self, path: str) -> dict[str, Any]:
        """Return all items of a dictionary, of which the hub sends 200 at a time."""
        items: dict[str, Any] = {}
        for page in self._pages(path):
            items |= page
        return items

    def _pages(self, path: str) -> Iterator[Any]:
        offset = 0
        while True:
            answer = self.request("GET", f"{path}?limit=200&offset={offset}")
            yield answer["items"]
            offset += len(answer["items"])
            if not answer["_pagination"].get("next"):
                return


def explain(error: urllib.error.HTTPError) -> str:
    """Return the hub's message, and for common errors what to do."""
    text = error.read().decode(errors="replace")
    try:
        text = str(json.loads(text).get("message") or "")
    except ValueError:
        text = str(error.reason)
    return "; ".join(part for part in (text, MEANINGS.get(error.code, "")) if part)


def user_path(name: str) -> str:
    """Return the path of a user. The name is quoted, since it may hold any character."""
    return f"/users/{quote(name, safe='')}"


def wait_until(is_done: Callable[[], bool], seconds: int, what: str) -> None:
    """Call `is_done` every second until it is true. HubError begins with `what` when the time is over."""
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            raise HubError(f"{what} after {seconds} s")
        time.sleep(1)


def wait_for_hub(api: HubApi, seconds: int) -> dict[str, Any]:
    """Return the hub's own description as soon as it gives one. A refusal is an answer and ends the wait."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer: dict[str, Any] = api.request("GET", "/info")
            return answer
        except HubError as error:
            if error.status not in (0, 404, 502, 503, 504) or time.monotonic() > end:
                raise
        time.sleep(1)
