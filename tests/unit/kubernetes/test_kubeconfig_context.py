"""kubeconfig_context touches its own context and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import library.kubernetes.kubeconfig_context as module
import pytest
import yaml
from tests.support.modules import cases, run_module

K3S_YAML = """\
apiVersion: v1
clusters:
- {cluster: {certificate-authority-data: Q0E=, server: "https://127.0.0.1:6443"}, name: default}
contexts:
- {context: {cluster: default, user: default}, name: default}
current-context: default
kind: Config
preferences: {}
users:
- {name: default, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZS0VZ}}
"""


@pytest.mark.parametrize("case", cases(__file__))
def test_kubeconfig_context(case: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    if "found" in case:
        path.parent.mkdir()
        path.write_text(case["found"])
    source = {"source": K3S_YAML} if case["input"].get("source") is True else {}
    params = {"name": "lab", **case["input"], **source, "path": str(path)}
    answer = run_module("kubeconfig_context", params, capsys, check=case.get("check", False))
    expected = case["output"]
    assert {key: answer.get(key) for key in expected} == expected, answer
    for part in case.get("says", []):
        assert part in answer["msg"]
    assert "S0VZS0VZ" not in json.dumps(answer)
    if "leaves" in case:
        assert (yaml.safe_load(path.read_text()) if path.exists() else None) == case["leaves"]
    if case.get("untouched"):
        assert path.read_text() == case["found"]
    if answer.get("changed") and not case.get("check"):
        assert not path.exists() or path.stat().st_mode & 0o777 == 0o600
        again = run_module("kubeconfig_context", params, capsys)
        assert not again["changed"], "a second run changes nothing"


def test_the_order_of_others_stays(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("zeta: 1\nusers:\n- {name: z, user: {}}\n- {name: a, user: {}}\nalpha: 2\n")
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    written = yaml.safe_load(path.read_text())
    assert list(written)[:3] == ["zeta", "users", "alpha"]
    assert [user["name"] for user in written["users"]] == ["z", "a", "lab"]


def test_a_link_stays_a_link(capsys: Any, tmp_path: Path) -> None:
    target, link = tmp_path / "real", tmp_path / "config"
    target.write_text("apiVersion: v1\n")
    link.symlink_to(target)
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(link)}, capsys)
    assert link.is_symlink()
    assert "lab" in target.read_text()


def test_the_file_as_it_was_stands_beside_it(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(OPERATORS)
    params = {"name": "lab", "source": K3S_YAML, "path": str(path)}
    answer = run_module("kubeconfig_context", params, capsys)
    backup = Path(answer["backup"])
    assert backup.read_text() == OPERATORS
    assert backup.stat().st_mode & 0o777 == 0o600


OPERATORS = """\
# mine
clusters: [{name: work, cluster: {server: "https://work"}}]
contexts: [{name: work, context: {cluster: work, user: me}}]
users: [{name: me, user: {token: mine}}]
current-context: work
"""
CHANGES = {
    "present": {"source": K3S_YAML},
    "moved": {"source": K3S_YAML, "server": "https://192.168.7.11:6443"},
    "absent": {"state": "absent"},
}


@pytest.mark.parametrize(
    "steps",
    [
        ["lab present"],
        ["lab present", "lab moved"],
        ["lab present", "lab absent"],
        ["lab present", "lab moved", "lab absent", "lab present"],
        ["lab present", "test present", "lab absent", "test absent"],
        ["lab present", "test present", "test absent", "lab absent"],
    ],
    ids=", ".join,
)
def test_the_backup_keeps_the_operators_writing(steps: list[str], capsys: Any, tmp_path: Path) -> None:
    path, backup = tmp_path / "config", tmp_path / "config.metalworks-backup"
    path.write_text(OPERATORS)
    for name, change in map(str.split, steps):
        run_module("kubeconfig_context", {"name": name, "path": str(path), **CHANGES[change]}, capsys)
        assert f"name: {name}\n" not in backup.read_text()
    if steps[-1].endswith("absent"):
        assert "S0VZS0VZ" not in backup.read_text() + path.read_text()
        assert yaml.safe_load(path.read_text())["users"] == [{"name": "me", "user": {"token": "mine"}}]
    if "test present" not in steps:
        assert backup.read_text() == OPERATORS


def test_what_the_operator_added_meanwhile_is_in_the_backup(capsys: Any, tmp_path: Path) -> None:
    path, backup = tmp_path / "config", tmp_path / "config.metalworks-backup"
    path.write_text(OPERATORS)
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["present"]}, capsys)
    config = yaml.safe_load(path.read_text())
    config["users"].append({"name": "other", "user": {}})
    path.write_text(yaml.safe_dump(config))
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["moved"]}, capsys)
    assert [user["name"] for user in yaml.safe_load(backup.read_text())["users"]] == ["me", "other"]


@pytest.mark.parametrize("steps", [["lab"], ["lab", "test"], ["test", "lab"]], ids=", ".join)
def test_nothing_is_left_of_what_was_only_ours(steps: list[str], capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    for change in ("present", "moved", "absent"):
        for name in steps:
            run_module("kubeconfig_context", {"name": name, "path": str(path), **CHANGES[change]}, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [True, False], ids=["file", "no file"])
def test_our_keys_leave_an_old_backup(there: bool, capsys: Any, tmp_path: Path) -> None:
    path, backup = tmp_path / "config", tmp_path / "config.metalworks-backup"
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["present"]}, capsys)
    path.rename(backup)
    if there:
        path.write_text(OPERATORS)
    answer = run_module("kubeconfig_context", {"name": "lab", "path": str(path), "state": "absent"}, capsys)
    assert answer["changed"]
    assert [each.name for each in tmp_path.iterdir()] == ["config"][: int(there)]


def test_a_lock_that_a_killed_program_left_is_taken(capsys: Any, tmp_path: Path) -> None:
    path, held = tmp_path / "config", tmp_path / "config.lock"
    held.touch()
    os.utime(held, (time.time() - 11,) * 2)
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["present"]}, capsys)
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


def test_kubectls_lock_is_waited_for(capsys: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    path = tmp_path / "config"
    path.with_name("config.lock").touch()
    answer = run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert answer["failed"]
    assert "config.lock is there" in answer["msg"]
    assert not path.exists()


def test_no_lock_is_left_behind(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert [each.name for each in tmp_path.iterdir()] == ["config"]
