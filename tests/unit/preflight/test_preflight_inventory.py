"""The module carries the inventory to its rules, and the rules' sentences back."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.modules import run_module

GIVEN: dict[str, Any] = {
    "kind": "metal",
    "source": "upstream",
    "k3s_version": "v1.34.4+k3s1",
    "groups": {"k3s_cluster": ["a", "b"], "k3s_server": ["a"], "k3s_agent": ["b"]},
    "machines": [{"name": "a", "address": "198.18.0.1"}, {"name": "b", "address": "198.18.0.2"}],
}


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_right_inventory_has_no_problems(check: bool, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_module("preflight_inventory", GIVEN, capsys, check=check)
    assert (answer["failed"], answer["changed"], answer["problems"]) == (False, False, [])


def test_problems_are_reported_and_do_not_fail_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_module("preflight_inventory", GIVEN | {"token": "guess-me"}, capsys)
    assert not answer["failed"]
    assert len(answer["problems"]) == 1
    assert "guess-me" not in str(answer["problems"])


def test_node_name_of_the_roles_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    machines = [{"name": "a", "server_node_name": "same"}, {"name": "b", "agent_node_name": "same"}]
    answer = run_module("preflight_inventory", GIVEN | {"machines": machines}, capsys)
    assert "hosts a, b have the same node name same" in answer["problems"][0]


def test_node_name_of_the_configuration_goes_first(capsys: pytest.CaptureFixture[str]) -> None:
    machines = [
        {"name": "a", "server_config": {"node-name": "Bad"}, "server_node_name": "good"},
        {"name": "b"},
    ]
    answer = run_module("preflight_inventory", GIVEN | {"machines": machines}, capsys)
    assert "'Bad' cannot be the name" in answer["problems"][0]
