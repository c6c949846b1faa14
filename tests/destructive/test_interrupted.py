"""`make up`, killed at any point, is finished by running it again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest
from running import LAB, NETWORK, ROOT, make

# Where each run is killed: (task, seconds after it began). The next run goes on from there.
KILLS = [
    ("lab_machines : Start the machine", 0.3),
    ("k3s_binary : Send . Copy what is missing", 1.0),
    ("k3s_server : Run . Wait until the API answers", 1.0),
    ("k3s_agent : Run . Wait until", 0.5),
    ("container_images : Send the layers", 4.0),
    ("helm_release : Install or upgrade the release", 1.0),
    ("helm_release : Install or upgrade the release", 4.0),
]


def kill_in(task: str, seconds: float) -> None:
    """Run `make up` and kill all of it in the middle of a task."""
    with subprocess.Popen(
        ["make", "up", f"LAB={LAB}"],
        cwd=ROOT,
        env={**os.environ, **NETWORK, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        said = []
        for line in run.stdout:
            said.append(line)
            if re.search(rf"^TASK \[{task}", line):
                time.sleep(seconds)
                os.killpg(run.pid, signal.SIGKILL)
                return
        pytest.fail(f"the task {task!r} was not reached:\n{''.join(said[-40:])}")


def test_killed_runs_are_finished_by_the_next(no_lab: None) -> None:
    for task, seconds in KILLS:
        kill_in(task, seconds)
        print(f"killed in: {task}")
    make("up")
    again = make("up").stdout
    assert not re.search(r"changed=[1-9]", again), again[-3000:]
    make("verify")
