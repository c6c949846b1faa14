"""Requests to an API that speaks JSON over HTTP: what the clients of Kubernetes, the hub and MLflow share."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urlencode

# No answer came, or the server, or a proxy before it, is just starting.
STARTING = (0, 404, 502, 503, 504)

T = TypeVar("T")


class ApiError(Exception):
    """An API refused a request or could not be reached."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        """Keep the answer's HTTP status (0: no answer came) and the API's own error code, if it has such."""
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def may_be_starting(self) -> bool:
        """Return whether asking again can help."""
        return self.status in STARTING


class JsonApi:
    """A client for one server. A class for one API sets what differs."""

    whose = "the API's"
    # What to do about a status, where the API's own message leaves that open.
    meanings: Mapping[int, str] = {}
    seconds = 30

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *handlers: urllib.request.BaseHandler,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the address below which all paths are, and the headers of each request.

        The computer's proxy is not used: it leads to the internet, and the server is usually near.
        """
        self.url, self._headers = url.rstrip("/"), headers
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(dict(proxies or {})), *handlers
        )

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = "application/json",
        **query: Any,
    ) -> Any:
        """Send one request. Return the parsed answer, or None if a change is answered with nothing.

        ApiError holds the API's message. A request may take `seconds`.
        """
        address = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers, data = dict(self._headers), None
        if body is not None:
            headers["Content-Type"], data = content_type, json.dumps(body).encode()
        request = urllib.request.Request(address, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=self.seconds) as answer:
                text = answer.read().decode()
                if not text.strip() and method != "GET":
                    return None
                return self._parse(text, answer.headers.get("Content-Type", ""))
        except urllib.error.HTTPError as error:
            message, code = self._explain(error)
            raise ApiError(f"{method} {address}: {error.code} {message}", error.code, code) from error
        except (OSError, HTTPException) as error:
            raise ApiError(f"{method} {address}: no answer ({getattr(error, 'reason', error)})") from error
        except ValueError as error:
            raise ApiError(
                f"{method} {address}: the answer is not {self.whose}; is the address right?"
            ) from error

    def find(self, path: str, **query: Any) -> Any:
        """Return what the server has at a path, or None."""
        try:
            return self.request("GET", path, **query)
        except ApiError as error:
            if self._is_missing(error):
                return None
            raise

    def _parse(self, text: str, content_type: str) -> Any:
        return json.loads(text)

    def _is_missing(self, error: ApiError) -> bool:
        return error.status == 404

    def _explain(self, error: urllib.error.HTTPError) -> tuple[str, str]:
        """Return the API's message, or the status' own words, with what to do; and the API's error code."""
        text, code = error.read().decode(errors="replace"), ""
        try:
            answer = json.loads(text)
            text, code = str(answer.get("message") or ""), str(answer.get("error_code") or "")
        except (ValueError, AttributeError):
            text = text[:300] if error.headers.get_content_type() == "text/plain" else ""
        parts = (text.strip() or str(error.reason), self.meanings.get(error.code, ""))
        return "; ".join(part for part in parts if part), code


def wait_for_answer(ask: Callable[[], T], seconds: float) -> T:
    """Return what `ask` returns, once it does. ApiError at once for a refusal, and when time is over."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except ApiError as error:
            if not error.may_be_starting or time.monotonic() > end:
                raise
        time.sleep(1)
