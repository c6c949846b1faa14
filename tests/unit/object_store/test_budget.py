"""The script that keeps the budget: what can still be written, and what it tells HAProxy."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "files" / "object_store" / "chart" / "files" / "budget.sh"
MIB = 2**20


def bash(text: str, **variables: str) -> str:
    """What a piece of bash prints that has the script's functions."""
    command = ["bash", "-c", f"source {SCRIPT}\n{text}"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **variables}, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("budget", "used", "size", "available", "reserve", "left"),
    [
        pytest.param(100, 30, 1000, 900, 10, 70, id="the_budget_is_what_binds"),
        pytest.param(100, 30, 1000, 120, 10, 20, id="the_disk_is_what_binds"),
        pytest.param(100, 130, 1000, 900, 10, -30, id="a_smaller_budget_than_is_used"),
        pytest.param(100, 0, 1000, 50, 10, -50, id="others_have_filled_the_disk"),
        pytest.param(100, 0, 1000, 50, 0, 50, id="nothing_is_reserved"),
        pytest.param(5 * 2**40, 0, 9 * 2**40, 8 * 2**40, 10, 5 * 2**40, id="sizes_of_terabytes"),
    ],
)
def test_what_can_be_written(
    budget: int, used: int, size: int, available: int, reserve: int, left: int
) -> None:
    assert int(bash(f"left {budget} {used} {size} {available} {reserve}")) == left


def test_what_lies_in_both_folders_counts(tmp_path: Path) -> None:
    bash("prepare", DATA=str(tmp_path))
    assert [oct((tmp_path / name).stat().st_mode)[-4:] for name in ("buckets", "versions")] == ["0700"] * 2
    empty = int(bash("walk", DATA=str(tmp_path)))
    (tmp_path / "buckets" / "a").write_bytes(b"a" * MIB)
    (tmp_path / "versions" / "b").write_bytes(b"b" * MIB)
    assert 2 * MIB <= int(bash("walk", DATA=str(tmp_path))) - empty < 2 * MIB + 65536


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[[str], Iterator[str]]]:
    """Starts the script with another du, and yields what HAProxy is told."""
    with contextlib.ExitStack() as stack:

        def start(du: str) -> Iterator[str]:
            bash("prepare", DATA=str(tmp_path))
            (tmp_path / "bin").mkdir()
            (tmp_path / "bin" / "du").write_text(f"#!/bin/bash\n{du}\n")
            (tmp_path / "bin" / "du").chmod(0o755)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(10)
            environment = {
                **os.environ,
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                "DATA": str(tmp_path),
                "BUDGET": "1000",
                "RESERVE_PERCENT": "0",
                "SYNC_SECONDS": "0",
                "FRONT_PORT": str(listener.getsockname()[1]),
            }
            running = stack.enter_context(subprocess.Popen(["bash", SCRIPT, "watch"], env=environment))
            stack.callback(running.terminate)
            while True:
                connection, _ = listener.accept()
                with connection:
                    yield connection.recv(4096).decode()

        yield start


def test_a_file_that_vanishes_while_it_is_counted_ends_nothing(
    watching: Callable[[str], Iterator[str]],
) -> None:
    told = watching("printf '300\\t%s\\n' buckets total; exit 1")
    for _ in range(2):
        assert "budget.map used 300;" in next(told)


def test_a_count_that_fails_leaves_the_former_number(
    watching: Callable[[str], Iterator[str]], tmp_path: Path
) -> None:
    # Without a total: it was ended while it counted.
    again = tmp_path / "again"
    told = watching(
        f"if [ -e {again} ]; then echo x >>{again}; printf '5\\tbuckets\\n'; exit 137; fi; "
        f"touch {again}; printf '300\\ttotal\\n'"
    )
    assert "budget.map used 300;" in next(told)
    while not again.read_text():
        assert "budget.map used 300;" in next(told)
    for _ in range(2):
        assert "budget.map used 300;" in next(told)


def test_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    bash("prepare", DATA=str(tmp_path))
    (tmp_path / "buckets" / "a").write_text("kept")
    bash("prepare", DATA=str(tmp_path))
    assert (tmp_path / "buckets" / "a").read_text() == "kept"


def test_haproxy_is_told_in_one_line() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[str] = []

    def listen() -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(4096).decode())

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    bash("tell left=5 used=7", FRONT_PORT=str(listener.getsockname()[1]))
    thread.join(30)
    listener.close()
    assert heard == ["set map /etc/front/budget.map left 5;set map /etc/front/budget.map used 7\n"]


def test_haproxy_that_does_not_listen_yet_ends_nothing() -> None:
    assert bash("tell left=5; echo goes on", FRONT_PORT="1") == "goes on"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_script_ends_when_it_is_told(tmp_path: Path, number: signal.Signals) -> None:
    bash("prepare", DATA=str(tmp_path))
    settings = {"BUDGET": "1", "RESERVE_PERCENT": "0", "SYNC_SECONDS": "0", "FRONT_PORT": "1"}
    environment = {**os.environ, **settings, "DATA": str(tmp_path)}
    with subprocess.Popen(["bash", SCRIPT, "watch"], env=environment) as running:
        time.sleep(1)
        running.send_signal(number)
        assert running.wait(10) == 0
