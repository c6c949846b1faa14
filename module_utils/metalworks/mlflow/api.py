"""A small client of MLflow's REST API: registered models, their versions and aliases."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
}
MISSING = "RESOURCE_DOES_NOT_EXIST"


class MlflowError(Exception):
    """MLflow refused a request or could not be reached."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        """Keep the HTTP status (0: no answer came) and MLflow's error code."""
        super().__init__(message)
        self.status, self.code = status, code


class MlflowApi:
    """A client for one server, at its own address or behind the hub's door."""

    def __init__(self, url: str, token: str) -> None:
        """Remember where the server is, and the token that is sent with each request."""
        self.url = url.rstrip("/")
        self._token = token
        # The computer's proxy is not used: it leads to the internet, and the server is usually near.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
        """Send one request to a path below /api/2.0/mlflow, and return the parsed answer."""
        address = f"{self.url}/api/2.0/mlflow/{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=60) as answer:
                text = answer.read().decode()
            return json.loads(text)
        except urllib.error.HTTPError as error:
            code, message = explain(error)
            raise MlflowError(f"{method} {address}: {error.code} {message}", error.code, code) from error
        except OSError as error:
            raise MlflowError(f"{method} {address}: no answer ({getattr(error, 'reason', error)})") from error
        except ValueError as error:
            raise MlflowError(
                f"{method} {address}: the answer is not MLflow's; is the address right?"
            ) from error

    def find(self, path: str, **query: str) -> Any:
        """Return what the server has at a path, or None."""
        try:
            return self.request("GET", path, None, **query)
        except MlflowError as error:
            if error.code == MISSING:
                return None
            raise


def explain(error: urllib.error.HTTPError) -> tuple[str, str]:
    """Return MLflow's error code and its message, or the status' own words."""
    text = error.read().decode(errors="replace")
    try:
        answer = json.loads(text)
        return str(answer.get("error_code", "")), str(answer.get("message") or error.reason)
    except (ValueError, AttributeError):
        return "", str(error.reason)
