"""A small client of the hub's REST API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..common.json_api import ApiError as ApiError
from ..common.json_api import JsonApi, wait_for_answer


class HubApi(JsonApi):
    """A client for one hub, at its public address. Paths are those below /hub/api."""

    whose = "a hub's"
    meanings: Mapping[int, str] = {
        401: "the hub does not know the token; it is hub.services.<name>.apiToken of the release's values",
        403: "the token may not do that; see the scopes in hub.loadRoles of the release's values",
        503: "the proxy is up, but the hub behind it is not; see the log of Deployment hub",
    }

    def __init__(self, url: str, token: str) -> None:
        """Remember where the hub is, and the token that is sent with each request."""
        accepted = "application/jupyterhub-pagination+json, application/json"
        super().__init__(
            f"{url.rstrip('/')}/hub/api", {"Authorization": f"token {token}", "Accept": accepted}
        )

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
            answer = self.request("GET", path, limit=200, offset=offset)
            yield answer["items"]
            offset += len(answer["items"])
            if not answer["_pagination"].get("next"):
                return


def user_path(name: str) -> str:
    """Return the path of a user. The name is quoted, since it may hold any character."""
    return f"/users/{quote(name, safe='')}"


def wait_until(is_done: Callable[[], bool], seconds: int, what: str) -> None:
    """Call `is_done` every second until it is true. ApiError begins with `what` when the time is over."""
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            raise ApiError(f"{what} after {seconds} s")
        time.sleep(1)


def wait_for_hub(api: HubApi, seconds: int) -> dict[str, Any]:
    """Return the hub's own description as soon as it gives one. A refusal is an answer and ends the wait."""
    answer: dict[str, Any] = wait_for_answer(lambda: api.request("GET", "/info"), seconds)
    return answer
