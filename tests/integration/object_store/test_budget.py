"""The script that keeps the budget: what can still be written, and what it tells HAProxy."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.waiting import wait_for

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
    # The first walk, of which the last line has the name total.
    first = 'name=; until [ "$name" = total ]; do read -r bytes name; done < <(walk); kill $!; echo $bytes'
    empty = int(bash(first, DATA=str(tmp_path)))
    (tmp_path / "buckets" / "a").write_bytes(b"a" * MIB)
    (tmp_path / "versions" / "b").write_bytes(b"b" * MIB)
    assert 2 * MIB <= int(bash(first, DATA=str(tmp_path))) - empty < 2 * MIB + 65536


class Watch(NamedTuple):
    """The running script, and what it tells HAProxy."""

    running: subprocess.Popen[bytes]
    told: Iterator[str]


def tellings(listener: socket.socket) -> Iterator[str]:
    """What arrives, one connection after another."""
    while True:
        connection, _ = listener.accept()
        with connection:
            yield connection.recv(4096).decode()


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[[str], Watch]]:
    """Starts the script with another du, and a sync that notes what it was called with."""
    with contextlib.ExitStack() as stack:

        def start(du: str) -> Watch:
            bash("prepare", DATA=str(tmp_path))
            (tmp_path / "bin").mkdir()
            for name, text in {"du": du, "sync": f'echo "$@" >>{tmp_path}/synced'}.items():
                (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
                (tmp_path / "bin" / name).chmod(0o755)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(10)
            environment = {
                **os.environ,
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                "DATA": str(tmp_path),
                "BUDGET": "1000",
                "RESERVE_PERCENT": "0",
                "SYNC_SECONDS": "1",
                "FRONT_PORT": str(listener.getsockname()[1]),
            }
            running = stack.enter_context(subprocess.Popen(["bash", SCRIPT, "watch"], env=environment))
            stack.callback(running.terminate)
            return Watch(running, tellings(listener))

        yield start


def test_a_file_that_vanishes_while_it_is_counted_ends_nothing(
    watching: Callable[[str], Watch],
) -> None:
    told = watching("printf '300\\t%s\\n' buckets total; exit 1").told
    for _ in range(2):
        assert "budget.map used 300;" in next(told)


def test_a_count_that_fails_leaves_the_former_number(
    watching: Callable[[str], Watch], tmp_path: Path
) -> None:
    # Without a total: it was ended while it counted.
    again = tmp_path / "again"
    told = watching(
        f"if [ -e {again} ]; then echo x >>{again}; printf '5\\tbuckets\\n'; exit 137; fi; "
        f"touch {again}; printf '300\\ttotal\\n'"
    ).told
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
def test_a_long_walk_holds_up_nothing_and_ends_with_the_script(
    watching: Callable[[str], Watch], tmp_path: Path, number: signal.Signals
) -> None:
    walks = tmp_path / "walks"
    watch = watching(f"printf '300\\ttotal\\n'; echo $PPID $$ >{walks}; exec sleep 60")
    for _ in range(3):
        assert "budget.map used 300;" in next(watch.told)
    assert (tmp_path / "synced").read_text().count("buckets") >= 2
    watch.running.send_signal(number)
    # At most 5 s are for HAProxy, which this test does not play any more.
    assert watch.running.wait(10) == 0
    wait_for(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in walks.read_text().split()), "du runs", 20
    )


def test_the_script_ends_if_its_walker_is_killed(watching: Callable[[str], Watch], tmp_path: Path) -> None:
    walks = tmp_path / "walks"
    watch = watching(f"printf '300\\ttotal\\n'; echo $PPID >{walks}")
    next(watch.told)
    os.kill(int(walks.read_text()), signal.SIGKILL)
    assert watch.running.wait(10) != 0
