"""Who initialises the cluster and who joins is read from the servers as they are, not from their order."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from in_process import ROOT, cases

ROLE = ROOT / "roles" / "k3s_server"


def settings(me: str, servers: dict[str, dict[str, Any]]) -> Any:
    """The role's variables, resolved for the server `me` with what each server answered."""
    results = [
        {"item": name, "datastore": "none", "ready": False, "membership": {}, **state}
        for name, state in servers.items()
    ]
    hostvars = {name: {"ansible_host": f"192.168.7.1{index}"} for index, name in enumerate(servers, start=1)}
    variables: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        variables |= DataLoader().load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True)
    variables |= {
        "inventory_hostname": me,
        "groups": {"k3s_server": list(servers)},
        "hostvars": hostvars,
        "ansible_host": hostvars[me]["ansible_host"],
        "__k3s_server_cluster": {"results": results},
    }
    templar = Templar(loader=DataLoader(), variables=variables)
    return templar.template(trust_as_template("{{ __k3s_server_settings }}"))


@pytest.mark.parametrize("case", cases(__file__))
def test_membership(case: dict[str, Any]) -> None:
    for me, expected in case["expected"].items():
        config = settings(me, case["servers"])
        assert {key: config[key] for key in ("cluster-init", "server") if key in config} == expected, me


def test_what_the_role_derives() -> None:
    config = settings("metal-1", {"metal-1": {}})
    assert config == {
        "node-name": "metal-1",
        "node-ip": "192.168.7.11",
        "token-file": "/etc/rancher/k3s/token",
        "tls-san": ["metal-1", "192.168.7.11"],
    }
