"""A small shop that does not exist, models of it, and a model server as a process of its own."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from metalworks_model.data import generate, ingest, prepare, sources
from metalworks_model.data.prepare import Purchases
from metalworks_model.models.registry import FolderRegistry
from metalworks_model.train import ease, fit

PACKAGE = Path(__file__).resolve().parents[1]
WORLD = generate.World(
    customers=120, items=90, kinds=8, baskets_a_day=12, lines_in_a_basket=6, broken=0.01, absurd=0.002
)
DAYS = 75
PARAMETERS = ease.Parameters(neighbours=40, regularisation=20.0)


def batch(day: generate.Day) -> sources.Batch:
    """Return a generated day as its source would give it."""
    return sources.Batch(day.day, *sources.parse(day.csv(), f"{day.day}.csv"))


@pytest.fixture(scope="session")
def days() -> list[generate.Day]:
    """The days of the shop."""
    return list(generate.days(WORLD, DAYS))


@pytest.fixture(scope="session")
def lines(days: list[generate.Day]) -> pa.Table:
    """All good lines."""
    return pa.concat_tables([ingest.check(batch(day))[0] for day in days])


@pytest.fixture(scope="session")
def bought(lines: pa.Table) -> Purchases:
    """All purchases."""
    return prepare.purchases(prepare.clean(lines))


@pytest.fixture(scope="session")
def artifact(lines: pa.Table, bought: Purchases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a recommender."""
    folder = tmp_path_factory.mktemp("artifact") / "model"
    fit.write(folder, bought, ease.fit(bought, PARAMETERS), fit.names_of(bought.items, lines))
    return folder


@pytest.fixture
def registry(artifact: Path, tmp_path: Path) -> FolderRegistry:
    """A registry with two versions, the first of which is the champion."""
    found = FolderRegistry(tmp_path / "registry")
    for _ in range(2):
        found.publish("recommender", artifact, {}, {})
    found.point("recommender", "champion", "1")
    return found


@dataclass
class Answer:
    """What a server answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Process:
    """A model server as a process of its own."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request, whatever the answer is."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()})
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(
                    refused.code, refused.read(), {k.lower(): v for k, v in refused.headers.items()}
                )

    def metric(self, start: str) -> float:
        """Return the value of the metric whose line starts like this; 0 if there is none."""
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith(start):
                return float(line.rpartition(" ")[2])
        return 0.0

    def until(self, check: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not check():
            if time.monotonic() > end:
                pytest.fail(f"it did not come to pass:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> int:
        """End it, and return its exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(60)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start servers of a registry; they end with the test."""
    started: list[Process] = []

    def start(registry: FolderRegistry | str, wait: bool = True, **settings: object) -> Process:
        url = registry if isinstance(registry, str) else f"file://{registry.root}"
        values = {
            "registry_url": url, "port": free_port(), "host": "127.0.0.1", "cache_dir": tmp_path / "cache",
            "poll_every": 0.05, "linger": 0, **settings,
        }  # fmt: skip
        environment = {f"METALWORKS_MODEL_{key.upper()}": str(value) for key, value in values.items()}
        log = tmp_path / f"server-{len(started)}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, "-m", "metalworks_model", "serve"],
                env=os.environ | environment | {"PYTHONPATH": str(PACKAGE)},
                stdout=file,
                stderr=file,
            )
        process = Process(popen, int(values["port"]), log)
        started.append(process)

        def ready() -> bool:
            if popen.poll() is not None:
                pytest.fail(f"the server ended:\n{log.read_text()}")
            try:
                return process.ask("GET", "/v2/health/ready").status == (200 if wait else 503)
            except OSError:
                return False

        process.until(ready)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.popen.poll() is None:
                process.popen.kill()
            process.popen.wait()


@pytest.fixture(scope="session")
def shared(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One server for all tests that only ask."""
    folder = tmp_path_factory.mktemp("shared")
    registry = FolderRegistry(folder / "registry")
    registry.point("recommender", "champion", registry.publish("recommender", artifact, {}, {}))
    generator = serve.__wrapped__(folder)  # type: ignore[attr-defined]
    start = next(generator)
    yield start(registry)
    generator.close()


def some_user(bought: Purchases) -> str:
    """Return a customer with a history."""
    return str(bought.users[np.bincount(bought.user).argmax()])


def day(text: str) -> dt.date:
    """Return a date."""
    return dt.date.fromisoformat(text)
