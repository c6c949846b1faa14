"""What the roles write for each host, and what else follows from the inventory, is decided in one place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.metalworks.k3s.wanted import WantedCluster, peers, wanted_cluster
from plugins.filter.k3s import k3s_cluster, k3s_server_order
from tests.support.modules import cases
from tests.support.roles import resolved


def groups(hosts: Any) -> dict[str, list[str]]:
    servers = [host for host in hosts if host.startswith("server")]
    return {"k3s_cluster": list(hosts), "k3s_server": servers}


def wanted(hosts: dict[str, Any], **more: Any) -> WantedCluster:
    return wanted_cluster(groups(hosts), hosts, **more)


@pytest.mark.parametrize("case", cases(__file__))
def test_wanted(case: dict[str, Any]) -> None:
    cluster = wanted(case["hosts"])
    for name, expected in case.get("expected", {}).items():
        assert getattr(cluster, name) == expected, name
    for host, facts in case.get("nodes", {}).items():
        node = cluster.nodes[host]
        for name, expected in facts.items():
            found = getattr(node, name)
            if name == "config":
                found = {key: node.config.get(key) for key in expected}
            assert found == expected, f"{host}: {name}"


def test_a_roles_input_counts_more_than_the_inventory() -> None:
    hosts = {"server-1": {"ansible_host": "198.18.0.11", "k3s_server_node_name": "from-inventory"}}
    own = {"server-1": {"k3s_server_node_name": "from-play", "k3s_server_node_ip": None}}
    node = wanted(hosts, own=own).nodes["server-1"]
    assert (node.name, node.addresses) == ("from-play", ["198.18.0.11"])


def test_a_configuration_that_a_play_says_is_that_of_all_its_hosts() -> None:
    hosts: dict[str, Any] = {"server-1": {}, "server-2": {}, "server-3": {"k3s_server_config": {}}}
    own = {"server-1": {"k3s_server_config": {"debug": True}, "k3s_server_node_name": "a"}}
    cluster = wanted(hosts, own=own)
    assert [node.given for node in cluster.nodes.values()] == [{"debug": True}, {"debug": True}, {}]
    assert [node.name for node in cluster.nodes.values()] == ["a", "server-2", "server-3"]
    assert [each["name"] for each in peers(cluster, "server-1")] == ["server-2", "server-3"]


def test_a_cluster_without_machines_is_empty() -> None:
    cluster = wanted_cluster({}, {})
    assert (cluster.nodes, cluster.servers, cluster.api_address) == ({}, [], "")


# The filters.

HOSTS = {"server-1": {"ansible_host": "198.18.0.11"}, "server-2": {"ansible_host": "198.18.0.12"}}


def test_filter_gives_all_as_data() -> None:
    found = k3s_cluster(groups(HOSTS), HOSTS)
    cluster = asdict(wanted(HOSTS))
    for host, node in found.pop("nodes").items():
        assert node.pop("address") == HOSTS[host]["ansible_host"]
        assert [peer["name"] for peer in node.pop("peers")] == [each for each in HOSTS if each != host]
        assert node == cluster["nodes"][host]
    assert found == {name: value for name, value in cluster.items() if name != "nodes"}


def test_filter_takes_the_results_of_a_loop() -> None:
    states = [{"item": "server-2", "datastore": "sqlite", "ready": True, "membership": {}}]
    assert (
        k3s_cluster(groups(HOSTS), HOSTS, None, states)["nodes"]["server-2"]["config"]["cluster-init"] is True
    )


def test_filter_refuses_what_speaks_against_the_host_that_is_written() -> None:
    states = [{"item": "server-2", "datastore": "sqlite", "ready": True, "membership": {}}]
    assert k3s_cluster(groups(HOSTS), HOSTS, {"server-2": {}}, states)
    with pytest.raises(AnsibleFilterError, match="host server-1: it cannot join server-2 yet"):
        k3s_cluster(groups(HOSTS), HOSTS, {"server-1": {}}, states)


def test_order_of_the_servers_is_taken_from_what_they_registered() -> None:
    hostvars = {"server-1": {}, "server-2": {"state": {"datastore": "sqlite"}}}
    assert k3s_server_order(["server-1", "server-2"], hostvars, "state") == ["server-2", "server-1"]
    assert k3s_server_order(["server-1", "server-2"], {}, "state") == ["server-1", "server-2"]


# The roles hand their inputs over.


@pytest.mark.parametrize(
    ("role", "further"),
    [("server", {"tls-san": ["two", "10.20.0.12", "198.18.0.12", "k3s.example"]}), ("agent", {})],
)
def test_a_role_writes_what_is_decided_here(role: str, further: dict[str, Any]) -> None:
    me = f"{role}-2"
    hosts = {"server-1": {"ansible_host": "198.18.0.11"}, me: {"ansible_host": "198.18.0.12"}}
    given = {
        "groups": groups(hosts),
        "hostvars": hosts,
        "inventory_hostname": me,
        f"k3s_{role}_config": {"debug": True},
        f"k3s_{role}_unchecked_config": {"brand-new": 1},
        f"k3s_{role}_node_name": "two",
        f"k3s_{role}_node_ip": "10.20.0.12",
        f"k3s_{role}_api_address": "k3s.example",
        "__k3s_server_states": {"results": [{"item": "server-1", "datastore": "etcd", "ready": True}]},
    }
    assert resolved(f"k3s_{role}", f"__k3s_{role}_node.config", **given) == {
        "node-name": "two",
        "node-ip": "10.20.0.12",
        "token-file": "/etc/rancher/k3s/token",
        "debug": True,
        "brand-new": 1,
        "server": "https://k3s.example:6443",
        "kubelet-arg": ["container-log-max-size=50Mi"],
        **further,
    }


def test_kubeconfig_reaches_the_api_where_the_cluster_has_it() -> None:
    hosts = {"server-1": {"ansible_host": "fd00::11", "k3s_server_config": {"https-listen-port": 7443}}}
    found = resolved("kubeconfig", "kubeconfig_api_url", groups=groups(hosts), hostvars=hosts)
    assert found == "https://[fd00::11]:7443"
