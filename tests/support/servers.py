"""Runs a server, for as long as a test needs it: one in a thread of this process, or a program."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any

import requests

from .waiting import wait_for


@contextmanager
def running(server: TCPServer) -> Iterator[str]:
    """Serve in a thread, and yield `host:port`; at the end the server is closed and its thread gone."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield "{}:{}".format(*server.server_address[:2])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """Return a port of this computer that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Tell whether a server answers there, and does not refuse."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def started(command: Sequence[str], url: str, seconds: float = 30, **options: Any) -> Iterator[None]:
    """Run a program until the block ends, which begins once the address answers."""
    with subprocess.Popen(command, **options) as program:
        try:
            wait_for(lambda: answers(url), f"{command[0]} does not answer at {url}", seconds)
            yield
        finally:
            program.terminate()


class Silent(BaseHTTPRequestHandler):
    """One request, which is not printed."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def reply(self, status: int, body: Any, kind: str = "application/json") -> None:
        """Answer with a text as it is, or with anything else as JSON."""
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def sent(self) -> Any:
        """Return the JSON that the request brings, or an empty dictionary."""
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else {}
