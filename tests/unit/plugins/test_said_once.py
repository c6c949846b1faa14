"""The message of a failed task is printed once; an error of Ansible itself keeps its origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.playbooks import play

MESSAGE = "Nothing was changed. Write another port."
FAIL = {"ansible.builtin.fail": {"msg": MESSAGE}}


def output(folder: Path, task: dict[str, Any]) -> str:
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    outcome = play(path, Path("localhost,"))
    assert outcome.code == 2, outcome.output
    return outcome.output


@pytest.mark.parametrize("task", [FAIL, {**FAIL, "loop": ["one item"]}])
def test_what_a_task_says_is_printed_once(task: dict[str, Any], tmp_path: Path) -> None:
    said = output(tmp_path, task)
    assert said.count(MESSAGE) == 1
    assert "[ERROR]" not in said


def test_an_error_of_ansible_itself_says_where_it_comes_from(tmp_path: Path) -> None:
    said = output(tmp_path, {"ansible.builtin.debug": {"msg": "{{ nowhere }}"}})
    assert "'nowhere' is undefined" in said
    assert f"Origin: {tmp_path}/play.yml" in said
