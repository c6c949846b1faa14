"""Running a playbook as a person would, and reading how it ended."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended, and all that it printed."""

    code: int
    output: str

    @property
    def said(self) -> str:
        """What it printed with every line break as a space, because Ansible folds messages."""
        return " ".join(self.output.split())

    @property
    def changed_nothing(self) -> bool:
        """Whether no host of the recap has a change."""
        return "changed=0" in self.said and not any(f"changed={n}" in self.said for n in range(1, 10))

    def check(self) -> Outcome:
        """Fail with the whole output unless the playbook succeeded."""
        assert self.code == 0, self.output
        return self


def play(
    playbook: Path,
    inventory: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    **variables: Any,
) -> Outcome:
    """Run a playbook on an inventory with these extra variables; it may fail."""
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    done = subprocess.run(
        ["ansible-playbook", "--inventory", inventory, *options, *extra, playbook],
        env={**(environment or os.environ), "ANSIBLE_FORCE_COLOR": "0"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)
