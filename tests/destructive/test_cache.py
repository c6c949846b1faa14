"""Two builders at the same time do not corrupt the cache, and a killed one leaves no incomplete artifact."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from running import ROOT

# An image that takes a minute to build and needs the base image, so that two builders meet.
ARTIFACT = "proxy-image"


def builder(cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "lab/build.py", ARTIFACT],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def assert_sound(cache: Path) -> None:
    """Every blob is what its name says, and every record's blobs are there."""
    blobs = cache / "metalworks" / "blobs" / "sha256"
    # A killed run may leave a file with a temporary name; it is no blob, and nothing refers to it.
    for blob in blobs.glob("[!.]*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    records = list((cache / "metalworks" / "images").glob("*.json"))
    assert records
    for record in records:
        for blob in json.loads(record.read_text())["blobs"]:
            assert (blobs / blob["digest"].removeprefix("sha256:")).exists()


def test_two_builders_at_once(tmp_path: Path) -> None:
    runs = [builder(tmp_path), builder(tmp_path)]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(outputs)
    assert_sound(tmp_path)


def test_killed_builder_leaves_nothing_half(tmp_path: Path) -> None:
    killed = 0
    for seconds in (0.5, 1.5, 4):
        run = builder(tmp_path)
        time.sleep(seconds)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            killed += 1
        run.communicate()
    assert killed, "the builder was done before it could be killed"
    run = builder(tmp_path)
    output, _ = run.communicate()
    assert run.returncode == 0, output
    assert_sound(tmp_path)
