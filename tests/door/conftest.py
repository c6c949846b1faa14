"""A real JupyterHub, the door as a process of its own, and a back end: what the tests of the door talk to."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.hub import Browser
from tests.support.servers import free_port

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "files" / "door"

TOKEN = "0123456789abcdef" * 4
PASSWORD = "open-sesame"
PAGES = ("mlflow", "whole", "deploys", "admin-page", "gone", "short")
# More than the door may have in memory, so that it cannot hold a body as a whole.
MEMORY = 128 * 1024**2
LARGE = 192 * 1024**2


def wait_until_it_answers(
    url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 300
) -> None:
    """Wait until something answers at this address; fail with the log if the process ends."""
    end = time.monotonic() + seconds
    while True:
        try:
            requests.get(url, timeout=5)
            return
        except requests.RequestException:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{url} does not answer:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)


@dataclass
class Process:
    """A process of the tests, with its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """End it, and return its exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(seconds)

    @property
    def peak(self) -> int:
        """The most memory that it had at one time, in bytes."""
        lines = Path(f"/proc/{self.popen.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def start(folder: Path, name: str, *command: str, memory: int = 0) -> Process:
    """Start a Python program in a folder. `memory` bounds what it may allocate."""
    log = folder / f"{name}.log"

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    environment = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTERHUB")}
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(SOURCE)},
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=bound if memory else None,
        )
    return Process(popen, log)


@dataclass
class World:
    """Where everything is."""

    folder: Path
    hub: str
    door: str
    back_end: str
    settings: dict[str, Any]
    processes: list[Process] = field(default_factory=list)

    def url(self, path: str) -> str:
        """What the proxy in front of both would do with a path."""
        return (self.hub if path.startswith("/hub") else self.door) + path

    def ask_hub(self, method: str, path: str, **body: Any) -> requests.Response:
        """Ask the hub's REST API as an administrator."""
        return requests.request(
            method,
            f"{self.hub}/hub/api{path}",
            headers={"Authorization": f"token {TOKEN}"},
            json=body or None,
            timeout=30,
        )

    def token(self, user: str, **options: Any) -> str:
        """A new token of a user."""
        answer = self.ask_hub("POST", f"/users/{user}/tokens", **(options or {"note": "test"}))
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token

    def call(self, path: str, token: str, method: str = "GET", **options: Any) -> requests.Response:
        """Call a page as a program does, with a token."""
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return requests.request(
            method, self.url(path), headers=headers, timeout=60, allow_redirects=False, **options
        )

    def start_door(self, name: str, *, memory: int = 0, **changes: Any) -> tuple[str, Process]:
        """Run a door with changed settings, and return its address."""
        port = free_port()
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({**self.settings, **changes, "port": port}))
        process = start(self.folder, name, "-m", "metalworks_door", str(path), memory=memory)
        self.processes.append(process)
        wait_until_it_answers(f"http://127.0.0.1:{port}/healthz", process.popen, process.log)
        return f"http://127.0.0.1:{port}", process


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything, running."""
    folder = tmp_path_factory.mktemp("door")
    hub_port, back_port, proxy_port = free_port(), free_port(), free_port()
    back_end = f"http://127.0.0.1:{back_port}"
    tokens = {name: f"token-of-{name}-0123456789abcdef" for name in PAGES}
    urls = {"gone": f"http://127.0.0.1:{free_port()}"}
    settings = {
        "hub_api_url": f"http://127.0.0.1:{hub_port}/hub/api",
        "cookie_secret": "c" * 64,
        "recheck_seconds": 0.5,
        "drain_seconds": 0.5,
        "connect_seconds": 2,
        "idle_seconds": 3,
        "pages": [
            {
                "name": name,
                "title": name.capitalize(),
                "url": urls.get(name, back_end),
                "token": tokens[name],
                "strip_prefix": name != "whole",
                "secret": "of-the-door" if name == "mlflow" else "",
            }
            for name in PAGES
        ],
    }
    (folder / "hub.json").write_text(
        json.dumps({"port": hub_port, "proxy_port": proxy_port, "tokens": tokens, "admin": TOKEN})
    )
    world = World(folder, f"http://127.0.0.1:{hub_port}", "", back_end, settings)
    try:
        hub = start(folder, "hub", "-m", "jupyterhub", "--config", str(HERE / "hub_config.py"))
        back = start(folder, "back_end", str(HERE / "back_end.py"), str(back_port))
        world.processes += [hub, back]
        wait_until_it_answers(f"{world.hub}/hub/health", hub.popen, hub.log)
        wait_until_it_answers(f"{back_end}/echo", back.popen, back.log)
        world.door, world.processes[2:] = world.start_door("door", memory=MEMORY)[0], world.processes[2:]
        yield world
    finally:
        for process in world.processes:
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    """A browser in which nobody has logged in."""
    found = Browser(world.url)
    with found.session:
        yield found
