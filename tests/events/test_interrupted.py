"""`make up`, killed at any point, is finished by running it again."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest
from running import LAB, ROOT, make

# Killed as soon as the output shows the play: in the middle of machines, of k3s, of images and of the hub.
PLAYS = ["Make the lab's machines", "Servers, one at a time", "Agents", "images", "hub"]


@pytest.mark.parametrize("play", PLAYS)
def test_killed_run_is_finished_by_the_next(play: str, no_lab: None) -> None:
    with subprocess.Popen(
        ["make", "up", f"LAB={LAB}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        reached = False
        tasks = 0
        for line in run.stdout:
            reached = reached or bool(re.search(rf"^PLAY \[.*{play}", line, re.IGNORECASE))
            tasks += reached and line.startswith("TASK [")
            if tasks >= 3:
                os.killpg(run.pid, signal.SIGKILL)
                break
        else:
            pytest.fail(f"the run ended before the play {play!r} was reached")
    make("up")
    again = make("up").stdout
    assert not re.search(r"changed=[1-9]", again), again[-3000:]
