"""The runner of Molecule scenarios: what runs side by side, what it says, and that it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
# Writes down what it was called for; a scenario that is named in FAILING fails, one in HANGING never ends.
MOLECULE = """#!/bin/sh
echo "begin $1 $3 $METALWORKS_MOLECULE $METALWORKS_MOLECULE_NETWORK" >>"$CALLS"
echo "TASK [the task of $3] ***"
case "$1 $HANGING" in "test $3") sleep 600 ;; esac
sleep 0.1
echo "end $1 $3" >>"$CALLS"
[ "$3" != "$FAILING" ] && exit 0
echo "fatal: [server-1]: this is why"
for line in $(seq 200); do echo "the removal, line $line"; done
exit 1
"""
ANSIBLE = """#!/bin/sh
echo "playbook ${3##*/}, kept: ${METALWORKS_MOLECULE_KEEP_CLUSTER:-no}" >>"$CALLS"
"""
# Two that share the cluster, and two that do not.
SHARING, ALONE = ["jupyterhub", "kubeconfig"], ["node", "preflight"]

Start = Callable[..., subprocess.Popen[str]]
# Each run takes two seconds: this is only for one that hangs.
PATIENCE = 120


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    path = tmp_path / "calls"
    path.touch()
    return path


@pytest.fixture
def start(tmp_path: Path, calls: Path) -> Iterator[Start]:
    """Starts the runner with a molecule that does nothing."""
    for name, text in (("molecule", MOLECULE), ("ansible-playbook", ANSIBLE)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if "METALWORKS" not in name}
    environment |= {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "METALWORKS_TEST_OUTPUT": str(tmp_path / "output"),
    }

    with ExitStack() as runs:

        def started(*scenarios: str, failing: str = "", hanging: str = "") -> subprocess.Popen[str]:
            run = subprocess.Popen(
                [sys.executable, ROOT / "tests" / "scenarios.py", *scenarios],
                env={**environment, "FAILING": failing, "HANGING": hanging},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            runs.enter_context(run)
            runs.callback(run.kill)
            return run

        yield started


def test_scenarios_that_share_the_cluster_run_one_after_the_other(start: Start, calls: Path) -> None:
    run = start(*ALONE, *SHARING)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    assert "4 passed, 0 failed" in said
    lines = calls.read_text().splitlines()
    assert lines[0] == lines[-1] == "playbook leave_cluster.yml, kept: no"
    named = [line.split()[:3] for line in lines if any(name in line for name in SHARING)]
    assert named == [[when, "test", name] for name in SHARING for when in ("begin", "end")]
    assert {tuple(line.split()[3:]) for line in lines if line.startswith("begin")} == {
        ("molecule", "172.30.8"),
        ("molecule-2", "172.30.19"),
    }


def test_scenarios_with_their_own_machines_need_no_cluster(start: Start, calls: Path) -> None:
    run = start(*ALONE)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    assert "playbook" not in calls.read_text()


def test_a_failure_is_told_and_the_others_go_on(start: Start, calls: Path) -> None:
    run = start(*SHARING, *ALONE, failing="jupyterhub")
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 1
    assert "fatal: [server-1]: this is why" in said
    assert "the removal, line 200" not in said
    assert "3 passed, 1 failed" in said
    assert "Failed: jupyterhub" in said
    assert calls.read_text().splitlines()[-1] == "playbook leave_cluster.yml, kept: no"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(start: Start, calls: Path, how: signal.Signals) -> None:
    run = start(*SHARING, *ALONE, hanging="kubeconfig")
    wait_for(lambda: "begin test kubeconfig" in calls.read_text(), calls.read_text, PATIENCE, every=0.05)
    run.send_signal(how)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130, said
    lines = calls.read_text().splitlines()
    assert "end destroy kubeconfig" in lines
    assert lines[-1] == "playbook leave_cluster.yml, kept: no"
