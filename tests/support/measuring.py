"""Run what machines measure themselves with (roles/node_measurements), which does not end by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.support.modules import ROOT
from tests.support.waiting import wait_for

PROGRAMS = ROOT / "roles" / "node_measurements" / "files"


def measure(done: Path, *arguments: str | Path, **environment: str) -> None:
    """Run measure.sh with these arguments, and end it as soon as a file is there."""
    command = ["sh", PROGRAMS / "measure.sh", *arguments]
    variables = {**os.environ, **environment}
    with subprocess.Popen(command, start_new_session=True, env=variables) as running:
        try:
            wait_for(done.exists, "nothing is measured", 60)
        finally:
            os.killpg(running.pid, signal.SIGTERM)
