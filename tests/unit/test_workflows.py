"""The workflows of GitHub: few rights, pinned actions, and no value that a shell would take for code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.support.modules import ROOT

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in ROOT.glob(".github/workflows/*.yml")}
MAKEFILE = (ROOT / "Makefile").read_text()
# A commit, and in a comment the version that a reader knows it by.
PINNED = re.compile(r"uses: [\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
# What lets a job do more than read the code.
RIGHTS = {"contents": "read"}

each_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def jobs(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs of a workflow by name; there is at least one."""
    found = WORKFLOWS[name]["jobs"]
    assert found
    yield from found.items()


def steps(name: str) -> list[dict[str, Any]]:
    """The steps of all jobs."""
    return [step for _, job in jobs(name) for step in job["steps"]]


@each_workflow
def test_a_job_may_only_read_the_code(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    assert {job: work.get("permissions") for job, work in jobs(name)} == dict.fromkeys(
        WORKFLOWS[name]["jobs"], RIGHTS
    )
    checkouts = [step for step in steps(name) if "checkout" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(
        WORKFLOWS[name]["jobs"]
    )


@each_workflow
def test_an_action_is_pinned_to_a_commit(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    used = [line.strip() for line in text.splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.search(line)] == []


@each_workflow
def test_no_value_becomes_code_of_a_shell(name: str) -> None:
    """A value in ${{ }} is put into the script before the shell reads it. Through env it stays a value."""
    assert [step["run"] for step in steps(name) if "${{" in step.get("run", "")] == []


@each_workflow
def test_every_job_ends(name: str) -> None:
    assert [job for job, work in jobs(name) if not 0 < work.get("timeout-minutes", 0) <= 120] == []


@each_workflow
def test_every_verb_runs_at_home_as_well(name: str) -> None:
    called = {verb for step in steps(name) for verb in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert called
    assert [verb for verb in called if f"\n{verb}:" not in MAKEFILE] == []


def test_the_model_is_deployed_by_environment_with_one_image() -> None:
    work = WORKFLOWS["model"]["jobs"]
    assert [work[name]["environment"] for name in ("staging", "production")] == ["staging", "production"]
    assert set(work["production"]["needs"]) == {"image", "staging"}
    for name in ("staging", "production"):
        (deployed,) = (step for step in work[name]["steps"] if "run" in step)
        assert deployed["env"]["IMAGE"] == "${{ needs.image.outputs.image }}"
        assert deployed["env"]["INVENTORY"].endswith(f"/{name}")
        assert work[name]["concurrency"] == {"group": f"model-{name}", "cancel-in-progress": False}


def test_no_code_of_a_pull_request_runs_on_the_operators_computer() -> None:
    work = WORKFLOWS["model"]["jobs"]
    own = [name for name, job in work.items() if "self-hosted" in job["runs-on"]]
    assert own == ["image", "staging", "production"]
    assert work["image"]["if"] == "github.event_name != 'pull_request'"
    # A job is skipped where one that it needs was.
    assert all("image" in work[name]["needs"] and "if" not in work[name] for name in own[1:])
