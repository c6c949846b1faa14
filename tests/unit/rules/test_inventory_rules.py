"""What is wrong with an inventory is said before a machine is touched (tests/refusals: through Ansible)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.rules.inventory import Inventory, Machine, problems
from tests.support.modules import cases

RIGHT: dict[str, Any] = {
    "kind": "metal",
    "source": "upstream",
    "version": "v1.34.4+k3s1",
    "groups": {"k3s_cluster": ["a", "b"], "k3s_server": ["a"], "k3s_agent": ["b"]},
    "machines": {"a": {}, "b": {"config": {"server": "https://198.18.0.1:6443"}}},
}


def machine(name: str, number: int, given: dict[str, Any]) -> Machine:
    return Machine(**{"name": name, "address": f"198.18.0.{number}", "node_name": name, **given})


@pytest.mark.parametrize("case", cases(__file__))
def test_problems(case: dict[str, Any]) -> None:
    given = {**RIGHT, **case.get("inventory", {})}
    given["machines"] = [
        machine(name, number, machine_given)
        for number, (name, machine_given) in enumerate(given["machines"].items(), 1)
    ]
    found = problems(Inventory(**given))
    expected = case.get("says", [])
    assert len(found) == len(expected), found
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence
