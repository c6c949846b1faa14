"""A registry in this process: the few requests that a push and a pull make, over HTTP or TLS."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.servers import Silent, running

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


class Handler(Silent):
    """One request."""

    state: State
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer; underscores in a header's name stand for hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Send a refusal in the form of the OCI distribution specification."""
        body = {"errors": [{"code": code, "message": message}]}
        self.answer(status, json.dumps(body).encode(), Content_Type="application/json")

    def let_in(self) -> bool:
        """Tell whether the request has the login or token that is wanted; answer it if not."""
        given = self.headers.get("Authorization", "")
        if self.state.auth == "basic" and given != LOGIN:
            self.answer(401, WWW_Authenticate='Basic realm="test"')
            return False
        if self.state.auth == "bearer" and given.removeprefix("Bearer ") not in self.state.tokens:
            realm = f'Bearer realm="http://{self.state.address}/token",service="test"'
            self.answer(401, WWW_Authenticate=realm)
            return False
        return True

    def do_GET(self) -> None:
        """Say hello, change a login for a token, or give a manifest or a blob."""
        path = urlsplit(self.path).path
        if path == "/token":
            if self.headers.get("Authorization") != LOGIN:
                return self.refuse(401, "UNAUTHORIZED", "authentication required")
            token = f"token-{len(self.state.tokens)}"
            self.state.tokens[token] = parse_qs(urlsplit(self.path).query).get("scope", [])
            return self.answer(200, json.dumps({"token": token}).encode())
        if not self.let_in():
            return None
        if path == "/v2/":
            return self.answer(200, b"{}")
        name, kind, reference = path.removeprefix("/v2/").rsplit("/", 2)
        self.state.asked[f"{self.command} {kind}"] += 1
        if kind == "manifests":
            known = {(where, found[0]): found for (where, _), found in self.state.manifests.items()}
            known |= self.state.manifests  # by its digest, and by its tag
            digest, media_type = known.get((name, reference), ("", ""))
        else:
            digest = reference if reference in self.state.blobs.get(name, ()) else ""
            media_type = "application/octet-stream"
        if not digest:
            code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
            return self.refuse(404, code, f"{kind[:-1]} unknown")
        content = b" " if self.state.alters else self.state.contents[digest]
        return self.answer(200, content, Content_Type=media_type, Docker_Content_Digest=digest)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Begin an upload, or mount a blob of another repository."""
        self.body()
        if not self.let_in():
            return None
        if self.state.read_only:
            return self.refuse(405, "UNSUPPORTED", "The operation is unsupported.")
        name = self.path.removeprefix("/v2/").partition("/blobs/")[0]
        query = parse_qs(urlsplit(self.path).query)
        digest = query.get("mount", [""])[0]
        if digest and digest in self.state.blobs.get(query.get("from", [""])[0], ()):
            self.state.asked["mount"] += 1
            self.state.blobs.setdefault(name, set()).add(digest)
            return self.answer(201)
        upload = str(len(self.state.uploads))
        self.state.uploads[upload] = b""
        storage = f"http://{self.state.storage}" if self.state.storage else ""
        return self.answer(202, Location=f"{storage}/v2/{name}/blobs/uploads/{upload}?state=kept")

    def do_PATCH(self) -> None:
        """Take a blob's content."""
        content = self.body()
        if not self.let_in():
            return None
        if self.state.breaks:
            self.state.breaks -= 1
            self.close_connection = True
            return None
        upload = urlsplit(self.path).path.rpartition("/")[2]
        self.state.uploads[upload] += content
        return self.answer(202, Location=self.path)

    def do_PUT(self) -> None:
        """Take a manifest, or end an upload."""
        content = self.body()
        if not self.let_in():
            return None
        path, query = urlsplit(self.path).path.removeprefix("/v2/"), parse_qs(urlsplit(self.path).query)
        if "/manifests/" in path:
            name, _, tag = path.partition("/manifests/")
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            self.state.contents[digest] = content
            self.state.manifests[name, tag] = (digest, self.headers["Content-Type"])
            return self.answer(201)
        name, _, upload = path.partition("/blobs/uploads/")
        content = self.state.uploads.pop(upload) + content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if query.get("digest") != [digest]:
            return self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.state.asked["upload"] += 1
        self.state.contents[digest] = content
        self.state.blobs.setdefault(name, set()).add(digest)
        return self.answer(201)

    def body(self) -> bytes:
        """Return what was sent, whole or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content


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
