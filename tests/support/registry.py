"""A registry in this process: the few requests that a push and a pull make, over HTTP or TLS."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from tests.support.servers import running
from werkzeug.serving import WSGIRequestHandler, make_server

LOGIN = "Basic " + base64.b64encode(b"ada:secret").decode()


@dataclass
class State:
    """What the registry has, how it behaves, and what was asked of it."""

    auth: str = ""  # "", "basic", "bearer"
    read_only: bool = False
    breaks: int = 0  # so many uploads end in a broken connection
    alters: bool = False  # answers another digest than it was given
    blobs: dict[str, set[str]] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # -> digest, media type
    asked: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, list[str]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    storage: str = ""  # another host that uploads are sent to
    address: str = ""

    def keep(self, content: bytes) -> str:
        """Keep some content, and return its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.contents[digest] = content
        return digest


class Silent(WSGIRequestHandler):
    """One request, which is not printed."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        """Say nothing."""


def refusal(status: int, code: str, message: str) -> tuple[Response, int]:
    """Return a refusal in the form of the OCI distribution specification."""
    return jsonify(errors=[{"code": code, "message": message}]), status


def registry(state: State) -> Flask:
    """Return the application that answers."""
    app = Flask("registry")

    @app.before_request
    def let_in() -> Any:
        """Answer who has not the login or token that is wanted."""
        given = request.headers.get("Authorization", "")
        if request.path == "/token" or not state.auth:
            return None
        if state.auth == "basic" and given != LOGIN:
            return "", 401, {"WWW-Authenticate": 'Basic realm="test"'}
        if state.auth == "bearer" and given.removeprefix("Bearer ") not in state.tokens:
            realm = f'Bearer realm="http://{state.address}/token",service="test"'
            return "", 401, {"WWW-Authenticate": realm}
        return None

    @app.get("/token")
    def change_a_login_for_a_token() -> Any:
        if request.headers.get("Authorization") != LOGIN:
            return refusal(401, "UNAUTHORIZED", "authentication required")
        token = f"token-{len(state.tokens)}"
        state.tokens[token] = request.args.getlist("scope")
        return {"token": token}

    @app.get("/v2/")
    def hello() -> Any:
        return {}

    @app.get("/v2/<path:name>/manifests/<reference>")
    def manifest(name: str, reference: str) -> Any:
        known = {(where, found[0]): found for (where, _), found in state.manifests.items()}
        known |= state.manifests  # by its digest, and by its tag
        return given("manifest", *known.get((name, reference), ("", "")))

    @app.get("/v2/<path:name>/blobs/<digest>")
    def blob(name: str, digest: str) -> Any:
        return given(
            "blob", digest if digest in state.blobs.get(name, ()) else "", "application/octet-stream"
        )

    def given(kind: str, digest: str, media_type: str) -> Any:
        state.asked[f"{request.method} {kind}s"] += 1
        if not digest:
            return refusal(404, f"{kind.upper()}_UNKNOWN", f"{kind} unknown")
        content = b" " if state.alters else state.contents[digest]
        return content, {"Content-Type": media_type, "Docker-Content-Digest": digest}

    @app.post("/v2/<path:name>/blobs/uploads/")
    def begin_an_upload_or_mount_a_blob(name: str) -> Any:
        if state.read_only:
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        digest = request.args.get("mount")
        if digest and digest in state.blobs.get(request.args.get("from", ""), ()):
            state.asked["mount"] += 1
            state.blobs.setdefault(name, set()).add(digest)
            return "", 201
        upload = str(len(state.uploads))
        state.uploads[upload] = b""
        storage = f"http://{state.storage}" if state.storage else ""
        return "", 202, {"Location": f"{storage}/v2/{name}/blobs/uploads/{upload}?state=kept"}

    @app.patch("/v2/<path:name>/blobs/uploads/<upload>")
    def take_content(name: str, upload: str) -> Any:
        if state.breaks:
            state.breaks -= 1
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        state.uploads[upload] += request.get_data()
        return "", 202, {"Location": request.full_path}

    @app.put("/v2/<path:name>/blobs/uploads/<upload>")
    def end_an_upload(name: str, upload: str) -> Any:
        digest = state.keep(state.uploads.pop(upload) + request.get_data())
        if request.args.get("digest") != digest:
            return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        state.asked["upload"] += 1
        state.blobs.setdefault(name, set()).add(digest)
        return "", 201

    @app.put("/v2/<path:name>/manifests/<tag>")
    def take_a_manifest(name: str, tag: str) -> Any:
        state.manifests[name, tag] = (state.keep(request.get_data()), request.headers["Content-Type"])
        return "", 201

    return app


@contextmanager
def serving(certificate: Path | None = None, **behaviour: Any) -> Iterator[State]:
    """Run a registry on a free port of this computer; with TLS, given a certificate and its key."""
    state, context = State(**behaviour), None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = make_server("127.0.0.1", 0, registry(state), True, request_handler=Silent, ssl_context=context)
    with running(server) as state.address:
        yield state
