"""The artifacts that the lab builds, made where they are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def built(*names: str) -> dict[str, dict[str, str]]:
    """Return the record of each artifact (its path, its version and more) by the artifact's name."""
    command = [sys.executable, ROOT / "lab" / "build.py", "--json", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def built_path(name: str) -> Path:
    """Return the file of one artifact."""
    return Path(built(name)[name]["path"])
