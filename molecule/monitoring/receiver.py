"""Takes alerts, and lists with GET what it was told: one line of JSON for each message, with the time."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLD: list[dict[str, Any]] = []


class Receiver(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_POST(self) -> None:
        """Keep a message of Alertmanager."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        TOLD.append({"at": time.time(), "path": self.path, "alerts": body["alerts"]})
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        """List the messages."""
        body = json.dumps(TOLD).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8080), Receiver).serve_forever()
