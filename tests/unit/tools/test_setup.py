"""What a computer lacks becomes commands, in order; what has all becomes nothing."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tools import setup

READY = setup.Computer(needed=[], useful=[], docker="running", may_act=True, has_apt=True, has_systemd=True)


def commands(**found: Any) -> list[str]:
    return [" ".join(step.command) for step in setup.plan(replace(READY, **found))]


def test_computer_that_has_all_needs_nothing() -> None:
    assert commands() == []


def test_what_is_missing_is_installed_before_docker_is_started() -> None:
    assert commands(needed=["docker.io"], useful=["shellcheck"], docker="missing") == [
        "apt-get install --yes --no-install-recommends -qq docker.io",
        "apt-get install --yes --no-install-recommends -qq shellcheck",
        "systemctl enable --now docker",
    ]


def test_what_only_tests_need_is_not_required() -> None:
    (step,) = setup.plan(replace(READY, useful=["chromium"]))
    assert not step.required


def test_docker_without_init_runs_in_the_background() -> None:
    (step,) = setup.plan(replace(READY, docker="stopped", has_systemd=False))
    assert step.background
    assert step.command[0] == "dockerd"


def test_account_without_rights_is_told_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "read", lambda _lab: replace(READY, docker="stopped", may_act=False))
    assert setup.main() == 1
    said = capsys.readouterr().err
    assert "neither root nor sudo" in said
    assert "  systemctl enable --now docker" in said


def test_account_that_docker_refuses_joins_its_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USER", "ada")
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(setup, "read", lambda _lab: replace(READY, docker="denied"))
    assert setup.main() == 1
    assert "usermod -aG docker ada" in capsys.readouterr().err


def test_daemon_that_dies_is_reported_with_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "DAEMON_LOG", tmp_path / "log")
    monkeypatch.setattr(setup, "docker_state", lambda: "stopped")
    assert not setup.in_background(["sh", "-c", "echo no cgroups here; exit 1"])
    assert "no cgroups here" in capsys.readouterr().err


def test_client_without_daemon_needs_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"docker", "debootstrap", "skopeo", "ssh-keygen", "chromium", "shellcheck"}
    monkeypatch.setattr(setup.shutil, "which", lambda name, path=None: name if name in here else None)
    monkeypatch.setattr(setup, "docker_state", lambda: "stopped")
    assert setup.read(lab=True).needed == ["docker.io"]
    monkeypatch.setattr(setup, "docker_state", lambda: "running")
    assert setup.read(lab=True).needed == []


def docker_daemons() -> int:
    """Return how many daemons of Docker run. A running one has short-lived children of the same name."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True)
    processes = [line.split() for line in listed.stdout.splitlines() if line.endswith("dockerd")]
    return sum(parent not in {pid for pid, _, _ in processes} for _, parent, _ in processes)


def test_this_computer_is_read_without_changing_it() -> None:
    before = docker_daemons()
    assert setup.read(lab=True).docker in ("missing", "stopped", "denied", "running")
    assert docker_daemons() == before


@pytest.mark.parametrize("docker", ["missing", "stopped", "denied"])
def test_metal_demands_no_docker(docker: str) -> None:
    """Whether images are built here, the check before a run knows."""
    found = replace(READY, useful=["docker.io", "skopeo"], docker=docker, lab=False)
    assert not any(step.required for step in setup.plan(found))


def test_metal_needs_neither_apt_nor_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = replace(READY, useful=["docker.io"], docker="missing", may_act=False, has_apt=False)
    seen = []
    monkeypatch.setattr(setup, "read", lambda lab: seen.append(lab) or replace(lacking, lab=lab))
    assert setup.main("inventories/site") == 0
    assert setup.main("inventories/lab") == 1
    assert seen == [False, True]
