"""In front of MLflow: who asks, and whether the route is open to them.

A pure ASGI application, so that bodies pass through as they come.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

from .identity import Forbidden, Identity, Unauthenticated, Vouchers, remember
from .metrics import Metrics
from .rights import MISSING, TWO_WAYS, Rights
from .routes import CLOSED, JUDGED_BY_PATH, JUDGED_BY_STORES, OPEN, READS, Routes

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("metalworks_mlflow")


class Door:
    """The application that clients reach."""

    def __init__(
        self,
        app: Any,
        routes: Routes,
        vouchers: Vouchers,
        rights: Rights,
        stores: tuple[Any, Any],
        metrics: Metrics,
    ) -> None:
        """Take MLflow's application and what decides; `stores` are the tracking store and the registry."""
        self.app, self.routes, self.vouchers, self.rights = app, routes, vouchers, rights
        self.stores, self.metrics = stores, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # MLflow has no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        began, answered = time.monotonic(), {"status": 499}

        async def noting(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answered["status"] = message["status"]
            await send(message)

        name, parameters = self.routes.find(scope)
        try:
            await self._answer(scope, receive, noting, name, parameters)
        finally:
            self.metrics.note(scope["method"], name or "none", answered["status"], time.monotonic() - began)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, name: str, parameters: dict[str, Any]
    ) -> None:
        path = scope["path"]
        if path == "/metrics":
            await respond(send, 200, self.metrics.text(), self.metrics.media_type)
            return
        identity: Identity | None = None
        if path not in OPEN:
            try:
                identity = self.vouchers.identity(scope["headers"])
                await self._judge(identity, scope["method"], name, parameters)
            except Unauthenticated as error:
                log.warning("401 %s %s: %s", scope["method"], path, error)
                await refuse(send, 401, "UNAUTHENTICATED", str(error))
                return
            except Forbidden as error:
                who = identity.name if identity else "nobody"
                log.warning("403 %s %s by %s: %s", scope["method"], path, who, error)
                await refuse(send, 403, "PERMISSION_DENIED", str(error))
                return
            remember(identity)
        # What proved the identity goes no further: MLflow records headers in places, and needs none of these.
        headers = [
            (key, value)
            for key, value in scope["headers"]
            if not key.startswith(b"x-metalworks-") and key != b"authorization"
        ]
        await self.app({**scope, "headers": headers}, receive, send)

    async def _judge(self, identity: Identity, method: str, name: str, parameters: dict[str, Any]) -> None:
        """Let the request pass, or refuse it with Forbidden."""
        if name.startswith(CLOSED):
            raise Forbidden(
                "this part of MLflow is off here: it runs programs, or calls others, from the server"
            )
        if name in JUDGED_BY_PATH:
            await anyio.to_thread.run_sync(self._judge_path, identity, str(parameters["artifact_path"]))
        elif name and name not in READS and name not in JUDGED_BY_STORES:
            self.rights.require_admin(identity, f"{method} {name.rpartition('.')[2].strip('_')}")

    def _judge_path(self, identity: Identity, path: str) -> None:
        """Refuse a change of somebody else's artifact, and of what is in production."""
        tracking, registry = self.stores
        kind, key = thing_of(path)
        if not kind:
            self.rights.require_admin(
                identity, f"the artifact path {path}, which belongs to no run or model,"
            )
            return
        if tracking.owner(kind, key) is MISSING:
            raise Forbidden(f"there is no {kind} {key} whose artifact {path} could be")
        tracking.require_change(kind, key, identity)
        if found := registry.in_production(path):
            self.rights.require_deployer(identity, f"{path} is in production as {', '.join(found)}")


def thing_of(path: str) -> tuple[str, str]:
    """Return what an artifact belongs to: its kind and key, both empty if the path does not say.

    MLflow's paths are EXPERIMENT/RUN/artifacts/..., EXPERIMENT/models/MODEL/artifacts/... and
    EXPERIMENT/traces/TRACE/artifacts/...; what could be read in two ways, is nobody's.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or TWO_WAYS.intersection(part) for part in parts):
        return "", ""
    if len(parts) > 3 and parts[1] in ("models", "traces") and parts[3] == "artifacts":
        return ("logged model" if parts[1] == "models" else "trace"), parts[2]
    if len(parts) > 2 and parts[2] == "artifacts":
        return "run", parts[1]
    return "", ""


async def refuse(send: Send, status: int, code: str, message: str) -> None:
    """Answer in the form of MLflow's own errors, which its clients print."""
    await respond(send, status, json.dumps({"error_code": code, "message": message}).encode())


async def respond(send: Send, status: int, body: bytes, media_type: str = "application/json") -> None:
    """Send a whole answer."""
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
