"""The workflows of GitHub, by the program that knows GitHub's rules. It is built once for this test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from running import ROOT
from tests.support.artifacts import built_path


@pytest.fixture(scope="module")
def actionlint() -> Path:
    return built_path("actionlint")


def lint(actionlint: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the workflows of a project, their shell scripts with shellcheck if that is installed."""
    return subprocess.run([actionlint], cwd=folder, capture_output=True, text=True, check=False)


def test_the_workflows_are_right(actionlint: Path) -> None:
    done = lint(actionlint, ROOT)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("needs: test", "needs: tests", 'needs job "tests" which does not exist'),
        ("steps.publish.outputs", "steps.push.outputs", 'property "push" is not defined'),
        ("runner.temp", "runner.tmp", 'property "tmp" is not defined'),
        ("ubuntu-latest", "ubuntu-newest", 'label "ubuntu-newest" is unknown'),
    ],
)
def test_what_github_would_refuse_is_found(
    actionlint: Path, tmp_path: Path, right: str, wrong: str, says: str
) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()  # what it takes for the root of a project
    path = tmp_path / ".github" / "workflows" / "model.yml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    done = lint(actionlint, tmp_path)
    assert done.returncode == 1
    assert says in done.stdout
