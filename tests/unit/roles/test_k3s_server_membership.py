"""Who initialises the cluster and who joins is read from the servers as they are, not from their order."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from tests.support.modules import ROOT, cases
from tests.support.roles import resolved

ROLE = ROOT / "roles" / "k3s_server"


def settings(me: str, servers: dict[str, dict[str, Any]], **inventory: Any) -> Any:
    """The role's variables, resolved for the server `me` with what each server answered.

    `inventory` holds what it says for all servers; under `host` what it says for each.
    """
    results = [
        {"item": name, "datastore": "none", "ready": False, "membership": {}, **state}
        for name, state in servers.items()
    ]
    said = inventory.pop("host", {})
    hostvars = {
        name: {"ansible_host": f"192.168.7.1{index}", **inventory, **said.get(name, {})}
        for index, name in enumerate(servers, start=1)
    }
    variables: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        variables |= DataLoader().load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True)
    variables |= {
        "inventory_hostname": me,
        "groups": {"k3s_server": list(servers)},
        "hostvars": hostvars,
        **hostvars[me],
        "__k3s_server_cluster": {"results": results},
    }
    templar = Templar(loader=DataLoader(), variables=variables)
    return templar.template(trust_as_template("{{ __k3s_server_settings }}"))


@pytest.mark.parametrize("case", cases(__file__))
def test_membership(case: dict[str, Any]) -> None:
    for me, expected in case["expected"].items():
        config = settings(me, case["servers"], **case.get("inventory", {}))
        assert {key: config[key] for key in ("cluster-init", "server") if key in config} == expected, me


def test_what_the_role_derives() -> None:
    config = settings("metal-1", {"metal-1": {}})
    assert config == {
        "node-name": "metal-1",
        "node-ip": "192.168.7.11",
        "token-file": "/etc/rancher/k3s/token",
        "tls-san": ["metal-1", "192.168.7.11"],
    }


def test_the_certificate_names_all_addresses_of_a_server() -> None:
    ways = {"host": {"metal-1": {"k3s_server_node_ip": "10.20.0.11"}}, "k3s_api_address": "hub.example"}
    config = settings("metal-1", {"metal-1": {}}, **ways)
    assert config["node-ip"] == "10.20.0.11"
    assert config["tls-san"] == ["metal-1", "10.20.0.11", "192.168.7.11", "hub.example"]


NODES = {"metal-1": {"ansible_host": "192.168.7.11", "k3s_server_node_ip": "10.20.0.11"}}


@pytest.mark.parametrize(
    ("role", "variable", "given", "expected"),
    [
        ("k3s_agent", "k3s_agent_api_address", {}, "10.20.0.11"),
        ("k3s_agent", "k3s_agent_api_address", {"k3s_api_address": "10.20.0.10"}, "10.20.0.10"),
        ("kubeconfig", "kubeconfig_api_address", {}, "192.168.7.11"),
        ("kubeconfig", "kubeconfig_api_address", {"k3s_api_address": "10.20.0.10"}, "10.20.0.10"),
    ],
)
def test_one_address_in_front_of_the_servers_is_enough(
    role: str, variable: str, given: dict[str, str], expected: str
) -> None:
    inventory = {"groups": {"k3s_server": ["metal-1"]}, "hostvars": NODES, "metalworks_name": "metal"}
    assert resolved(role, variable, **inventory, **given) == expected
