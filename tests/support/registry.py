"""A registry in this process: the OCI distribution API's few requests that a push makes, over HTTP or TLS."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.servers import running

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
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    state: State
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def let_in(self) -> bool:
        given = self.headers.get("Authorization", "")
        name = self.path.partition("/v2/")[2].partition("/blobs")[0].partition("/manifests")[0]
        if self.state.auth == "basic" and given != LOGIN:
            self.answer(401, WWW_Authenticate='Basic realm="test"')
            return False
        if self.state.auth == "bearer":
            scopes = self.state.tokens.get(given.removeprefix("Bearer "), [])
            if f"repository:{name}:pull,push" not in scopes:
                realm = f'Bearer realm="http://{self.state.address}/token",service="test",scope="x"'
                self.answer(401, WWW_Authenticate=realm)
                return False
        return True

    def do_GET(self) -> None:
        """Change a login for a token."""
        assert self.path.startswith("/token"), self.path
        if self.headers.get("Authorization") != LOGIN:
            return self.answer(401)
        token = f"token-{len(self.state.tokens)}"
        self.state.tokens[token] = parse_qs(urlsplit(self.path).query)["scope"]
        return self.answer(200, json.dumps({"token": token}).encode())

    def do_HEAD(self) -> None:
        if not self.let_in():
            return
        name, _, rest = urlsplit(self.path).path.removeprefix("/v2/").rpartition("/")
        self.state.asked["HEAD"] += 1
        if name.endswith("/manifests"):
            digest = self.state.manifests.get((name.removesuffix("/manifests"), rest), ("",))[0]
            self.answer(
                200 if digest else 404, Docker_Content_Digest="sha256:x" if self.state.alters else digest
            )
        else:
            self.answer(200 if rest in self.state.blobs.get(name.removesuffix("/blobs"), ()) else 404)

    def do_POST(self) -> None:
        if not self.let_in():
            return None
        if self.state.read_only:
            body = {"errors": [{"code": "UNSUPPORTED", "message": "The operation is unsupported."}]}
            return self.answer(405, json.dumps(body).encode())
        name = self.path.removeprefix("/v2/").partition("/blobs/")[0]
        query = parse_qs(urlsplit(self.path).query)
        digest = query.get("mount", [""])[0]
        if digest and digest in self.state.blobs.get(query["from"][0], ()):
            self.state.asked["mount"] += 1
            self.state.blobs.setdefault(name, set()).add(digest)
            return self.answer(201)
        return self.answer(202, Location=f"/v2/{name}/blobs/uploads/1?state=kept")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.let_in():
            return None
        path, query = urlsplit(self.path).path.removeprefix("/v2/"), parse_qs(urlsplit(self.path).query)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if "/manifests/" in path:
            name, _, tag = path.partition("/manifests/")
            self.state.manifests[name, tag] = (digest, self.headers["Content-Type"])
            return self.answer(201)
        self.state.asked["upload"] += 1
        if self.state.breaks:
            self.state.breaks -= 1
            self.close_connection = True
            return None
        assert query == {"state": ["kept"], "digest": [digest]}
        self.state.blobs.setdefault(path.partition("/blobs/")[0], set()).add(digest)
        return self.answer(201)


@contextmanager
def serving(certificate: Path | None = None, **behaviour: Any) -> Iterator[State]:
    """Run a registry on a free port of this computer; with TLS, given a certificate and its key."""
    state = State(**behaviour)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server) as state.address:
        yield state
