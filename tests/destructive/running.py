"""Run make and playbooks for the tests' own lab."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = "events"
NETWORK = {"METALWORKS_LAB_SUBNET": "172.30.15"}  # beside any other lab


def make(*goals: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make for the tests' lab; its output is kept and shown when it fails."""
    done = subprocess.run(
        ["make", *goals, f"LAB={LAB}"],
        cwd=ROOT,
        env={**os.environ, **NETWORK, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        pytest.fail(f"make {' '.join(goals)} failed:\n{done.stdout[-6000:]}{done.stderr[-3000:]}")
    return done


def play(*arguments: str) -> str:
    """Run one playbook on the tests' lab."""
    done = subprocess.run(
        ["ansible-playbook", "--inventory", "inventories/lab", *arguments],
        cwd=ROOT,
        env={**os.environ, **NETWORK, "METALWORKS_LAB": LAB},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(arguments)} failed:\n{done.stdout[-6000:]}{done.stderr[-3000:]}")
    return done.stdout
