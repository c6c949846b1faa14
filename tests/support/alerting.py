"""Prometheus and Alertmanager, real, and a receiver that remembers what it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import requests
import yaml
from ansible.module_utils.metalworks.monitoring.receivers import FOLDER, configuration, secrets

from .artifacts import built_path
from .servers import Silent, free_port, started


class Receiver(ThreadingHTTPServer):
    """Takes messages, and remembers each with its path and time; the path `refused` is answered with 500."""

    def __init__(self) -> None:
        """Listen at a free port of this computer."""
        super().__init__(("127.0.0.1", 0), Answers)
        self.told: list[tuple[str, float, dict[str, Any]]] = []

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def of(self, path: str, status: str = "firing") -> list[dict[str, Any]]:
        """Return the alerts that a path was told of, with the time."""
        return [
            {**alert, "at": at}
            for where, at, message in self.told
            for alert in message.get("alerts", [])
            if where == f"/{path}" and alert["status"] == status
        ]


class Answers(Silent):
    """Answers one request."""

    server: Receiver

    def do_POST(self) -> None:
        """Take a message, or refuse it."""
        self.server.told.append((self.path, time.time(), self.sent()))
        self.reply(500 if self.path == "/refused" else 200, {})


class MailServer(ThreadingTCPServer):
    """A mail relay (RFC 5321) that speaks no TLS, and keeps the text of each message."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen at a free port of this computer."""
        super().__init__(("127.0.0.1", 0), Mails)
        self.messages: list[str] = []

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class Mails(StreamRequestHandler):
    """Speaks with one client until it leaves."""

    server: MailServer

    def handle(self) -> None:
        """Say yes to every command, and keep what comes as a message."""
        self.wfile.write(b"220 relay\r\n")
        for line in self.rfile:
            command = line.split()[0].upper() if line.strip() else b""
            self.wfile.write(
                {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(command, b"250 relay\r\n")
            )
            if command == b"QUIT":
                return
            if command == b"DATA":
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.messages.append(text.decode())
                self.wfile.write(b"250 taken\r\n")


@contextmanager
def alertmanager(folder: Path, receivers: Sequence[dict[str, Any]], watchdog: str) -> Iterator[str]:
    """Run Alertmanager as the operator starts it, and yield where it listens, as host:port."""
    for name, text in secrets(receivers, watchdog).items():
        (folder / name).write_text(text)
    settings = yaml.safe_dump(configuration(receivers, watchdog))
    (folder / "alertmanager.yml").write_text(settings.replace(FOLDER, str(folder)))
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(built_path("alertmanager")),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'silences'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--enable-feature=receiver-name-in-metrics",
        "--log.level=error",
    ]

    with started(command, f"http://{address}/-/ready"):
        yield address


@contextmanager
def prometheus(folder: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    """Run Prometheus with these settings, and yield where it listens, as host:port."""
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(built_path("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    command += [f"--web.listen-address={address}", "--log.level=error"]
    with started(command, f"http://{address}/-/ready"):
        yield address


def result(address: str, query: str) -> list[Any]:
    """Return the series of a query to Prometheus."""
    answer = requests.get(f"http://{address}/api/v1/query", params={"query": query}, timeout=30)
    answer.raise_for_status()
    return answer.json()["data"]["result"]
