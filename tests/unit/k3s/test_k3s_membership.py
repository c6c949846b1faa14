"""Who initialises the cluster and who joins is read from the servers as they are, not from their order."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s.wanted import WantedNode, by_data, wanted_cluster
from tests.support.modules import cases

MEMBERSHIP = ("cluster-init", "server")


def nodes(case: dict[str, Any]) -> dict[str, WantedNode]:
    """What the role writes on each server, given what each of them answered."""
    inventory = dict(case.get("inventory", {}))
    said = inventory.pop("host", {})
    hostvars = {
        name: {"ansible_host": f"192.168.7.1{index}", **inventory, **said.get(name, {})}
        for index, name in enumerate(case["servers"], start=1)
    }
    states = {
        name: {"datastore": "none", "ready": False, "membership": {}, **state}
        for name, state in case["servers"].items()
        if state is not None
    }
    return wanted_cluster({"k3s_server": list(case["servers"])}, hostvars, states=states).nodes


@pytest.mark.parametrize("case", cases(__file__))
def test_membership(case: dict[str, Any]) -> None:
    written = nodes(case)
    for me, expected in case["expected"].items():
        config = written[me].config
        assert {key: config[key] for key in MEMBERSHIP if key in config} == expected, me
    faults = {host: " ".join(node.faults) for host, node in written.items() if node.faults}
    assert faults.keys() == case.get("refused", {}).keys()
    for host, part in case.get("refused", {}).items():
        assert part in faults[host]


@pytest.mark.parametrize(
    ("states", "order"),
    [
        ({}, ["metal-0", "metal-1", "metal-2"]),
        ({"metal-1": {"datastore": "sqlite", "ready": True}}, ["metal-1", "metal-0", "metal-2"]),
        (
            {"metal-1": {"datastore": "etcd"}, "metal-2": {"datastore": "etcd", "ready": True}},
            ["metal-2", "metal-1", "metal-0"],
        ),
        (
            {"metal-1": {"datastore": "sqlite", "ready": True}, "metal-2": {"datastore": "etcd"}},
            ["metal-2", "metal-1", "metal-0"],
        ),
    ],
)
def test_servers_with_data_are_run_first(states: dict[str, Any], order: list[str]) -> None:
    assert by_data(["metal-0", "metal-1", "metal-2"], states) == order
