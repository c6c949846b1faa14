"""k3s_binary selects a version only when all its files are there, and never leads a cluster backwards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s.release import refusal
from tests.support.modules import run_module

WANTED = "v1.34.4+k3s1"
CONTENT = b"#!/bin/sh\necho k3s version v1.33.6+k3s1 '(abc)'\n"


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    file = {"path": str(tmp_path / f"k3s-{WANTED}"), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    record = str(tmp_path / "record" / "files.json")
    return {"version": WANTED, "folder": str(tmp_path), "files": [file], "record": record}


def install(folder: Path, version: str) -> None:
    (folder / f"k3s-{version}").write_bytes(CONTENT)
    (folder / "k3s").symlink_to(f"k3s-{version}")


def test_a_missing_file_is_named_and_nothing_is_linked(
    params: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    answer = run_module("k3s_binary", params, capsys)
    assert answer["changed"]
    assert [each["path"] for each in answer["missing"]] == [params["files"][0]["path"]]
    assert not (tmp_path / "k3s").is_symlink()


def test_a_damaged_file_is_missing(params: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    (tmp_path / f"k3s-{WANTED}").write_bytes(CONTENT[:-1])
    assert run_module("k3s_binary", params, capsys)["missing"]


def test_links_are_made_and_then_left_alone(params: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    (tmp_path / f"k3s-{WANTED}").write_bytes(CONTENT)
    assert run_module("k3s_binary", params, capsys)["changed"]
    assert str((tmp_path / "k3s").readlink()) == f"k3s-{WANTED}"
    assert str((tmp_path / "kubectl").readlink()) == "k3s"
    assert not run_module("k3s_binary", params, capsys)["changed"]


def test_check_mode_links_nothing(params: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    (tmp_path / f"k3s-{WANTED}").write_bytes(CONTENT)
    assert run_module("k3s_binary", params, capsys, check=True)["changed"]
    assert not (tmp_path / "k3s").is_symlink()


def test_a_kubectl_of_its_own_is_left_alone(params: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    (tmp_path / f"k3s-{WANTED}").write_bytes(CONTENT)
    (tmp_path / "kubectl").write_text("mine")
    run_module("k3s_binary", params, capsys)
    assert (tmp_path / "kubectl").read_text() == "mine"


def test_an_older_link_is_moved(params: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    install(tmp_path, "v1.33.6+k3s1")
    (tmp_path / f"k3s-{WANTED}").write_bytes(CONTENT)
    answer = run_module("k3s_binary", params, capsys)
    assert answer["installed"] == "v1.33.6+k3s1"
    assert str((tmp_path / "k3s").readlink()) == f"k3s-{WANTED}"


def test_a_program_of_somebody_else_is_asked_for_its_version(
    params: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "k3s").write_bytes(CONTENT)
    (tmp_path / "k3s").chmod(0o755)
    assert run_module("k3s_binary", params, capsys)["installed"] == "v1.33.6+k3s1"


def test_a_newer_installed_version_is_not_replaced(
    params: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    install(tmp_path, "v1.35.4+k3s1")
    answer = run_module("k3s_binary", params, capsys)
    assert answer["failed"]
    assert "v1.35.4+k3s1 is installed and v1.34.4+k3s1 is older" in answer["msg"]


@pytest.mark.parametrize(
    ("installed", "wanted", "part"),
    [
        (None, "v1.34.4+k3s1", None),
        ("v1.34.4+k3s1", "v1.34.4+k3s1", None),
        ("v1.34.3+k3s1", "v1.34.4+k3s1", None),
        ("v1.33.9+k3s1", "v1.34.4+k3s1", None),
        ("v1.34.4+k3s1", "v1.34.4+k3s2", None),
        ("v1.34.4-rc1+k3s1", "v1.34.4+k3s1", None),
        ("v1.34.4+lab1", "v1.34.4+k3s1", None),
        ("something else", "v1.34.4+k3s1", None),
        ("v1.34.4+k3s2", "v1.34.4+k3s1", "is older"),
        ("v1.34.4+k3s1", "v1.34.4-rc1+k3s1", "is older"),
        ("v1.34.4+k3s1", "v1.33.9+k3s1", "Write v1.34.4+k3s1 or a newer one"),
        ("v1.32.4+k3s1", "v1.34.4+k3s1", "Write a v1.33 version first"),
        ("v1.34.4+k3s1", "latest", "is not a version of k3s"),
    ],
)
def test_which_version_may_follow(installed: str | None, wanted: str, part: str | None) -> None:
    sentence = refusal(installed, wanted)
    assert sentence is None if part is None else part in str(sentence)
