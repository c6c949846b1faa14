"""Every requirements.in is found, and compiled after the lock that it has to agree with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tools import lock

ROOT = Path(__file__).resolve().parents[3]


def test_all_that_git_knows_is_found_and_has_its_lock() -> None:
    folders = lock.tracked("requirements.in")
    assert {ROOT, ROOT / "lab/images/hub"} <= set(folders)
    assert [folder for folder in folders if not (folder / "requirements.txt").exists()] == []
    assert lock.tracked("package.json") == [ROOT / "lab/images/proxy"]


def test_every_constraint_is_a_file() -> None:
    for folder in lock.tracked("requirements.in"):
        for path in lock.CONSTRAINT.findall((folder / "requirements.in").read_text()):
            assert (folder / path).is_file(), folder


def test_a_lock_is_made_after_the_one_that_it_agrees_with(tmp_path: Path) -> None:
    for name, constraint in {
        "a": "../b/requirements.txt",
        "b": "../c/requirements.txt",
        "c": "../d.txt",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "requirements.in").write_text(f"# Why.\n-c {constraint}\nthing\n")
    folders = [tmp_path / name for name in "abc"]
    assert lock.in_order(folders) == folders[::-1]
    assert lock.in_order(folders[:1]) == folders[:1], "a lock outside of the project is there already"


def test_only_what_is_asked_for_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    real = subprocess.run

    def run(command: tuple[str, ...], **options: object) -> object:
        if command[0] == "git":
            return real(command, **options)  # type: ignore[call-overload]
        ran.append(" ".join(command))
        return None

    monkeypatch.setattr(lock.subprocess, "run", run)
    lock.main(["lab/go"])
    assert [command.rpartition(" ")[2] for command in ran] == ["lab/go/requirements.txt"]
