"""The message of a failed task is printed once, as it is written; an error of Ansible keeps its origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.playbooks import play

PLAY = """\
- hosts: localhost
  gather_facts: false
  ignore_errors: true
  ignore_unreachable: true
  tasks:
    - {name: one, ansible.builtin.fail: {msg: "node 'a': write another port."}}
    - {name: loop, ansible.builtin.fail: {msg: Write another port.}, loop: [item]}
    - name: unreachable
      ansible.builtin.ping:
      vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 9}
    - {name: template, ansible.builtin.debug: {msg: "{{ nowhere }}"}}
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a play prints of each of its tasks; line breaks are spaces."""
    path = tmp_path_factory.mktemp("play") / "play.yml"
    path.write_text(PLAY)
    tasks = play(path, Path("localhost,")).check().said.split("TASK [")[1:]
    return {name: text for name, _, text in (task.partition("]") for task in tasks)}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("one", "msg: |- node 'a': write another port."),
        ("loop", "Write another port."),
        ("unreachable", "port 9: Connection refused"),
    ],
)
def test_what_a_task_says_is_printed_once(said: dict[str, str], task: str, message: str) -> None:
    assert said[task].count(message) == 1
    assert "[ERROR]" not in said[task]


def test_an_error_of_ansible_itself_says_where_it_comes_from(said: dict[str, str]) -> None:
    assert "'nowhere' is undefined Origin: " in said["template"]
