"""The real Alertmanager with our configuration, and a receiver that remembers what it is told."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml
from ansible.module_utils.metalworks.monitoring.receivers import FOLDER, configuration, secrets

from .artifacts import built_path
from .servers import Silent
from .waiting import wait_for


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


def free_port() -> int:
    """Return a port of this computer that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


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

    def ready() -> bool:
        try:
            return requests.get(f"http://{address}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False

    with subprocess.Popen(command) as program:
        try:
            wait_for(ready, "Alertmanager does not start", 30)
            yield address
        finally:
            program.terminate()
