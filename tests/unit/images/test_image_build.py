"""image_build names an image by its content, and knows without Docker whether a build is due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.modules import run_module


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (folder / "file").write_text("one")
    return folder


def ask(context: Path, capsys: Any, **more: Any) -> dict[str, Any]:
    return run_module("image_build", {"name": "thing", "context": str(context), **more}, capsys, check=True)


def test_the_name_follows_the_content(context: Path, capsys: Any) -> None:
    first = ask(context, capsys)
    assert first["changed"]
    assert first["reference"].startswith("metalworks.local/thing:1-")
    (context / "README.md").write_text("not in the image")
    (context / "requirements.in").write_text("not in the image")
    (context / "chart").mkdir()
    (context / "chart" / "values.yaml").write_text("not in the image")
    assert ask(context, capsys)["reference"] == first["reference"]
    (context / "file").write_text("two")
    assert ask(context, capsys)["reference"] != first["reference"]


@pytest.mark.parametrize("more", [{"base": "r/base:2"}, {"arguments": {"A": "1"}}, {"version": "2"}], ids=str)
def test_the_name_follows_the_base_and_the_arguments(
    context: Path, capsys: Any, more: dict[str, Any]
) -> None:
    assert ask(context, capsys, **more)["reference"] != ask(context, capsys)["reference"]


def test_a_folder_without_dockerfile_is_refused(context: Path, capsys: Any) -> None:
    (context / "Dockerfile").unlink()
    answer = ask(context, capsys)
    assert answer["failed"]
    assert f"context: there is no Dockerfile in {context}" in answer["msg"]
