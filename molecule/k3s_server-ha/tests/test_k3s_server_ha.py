"""Three servers are one cluster, and a change reaches them one after the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.support.scenario import kubectl

SERVERS = ["server-1", "server-2", "server-3"]


def test_every_server_sees_three_ready_servers(host: Any) -> None:
    nodes = kubectl(host, "get nodes")["items"]
    ready = {
        node["metadata"]["name"]: next(
            c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"
        )
        for node in nodes
    }
    assert ready == dict.fromkeys(SERVERS, "True")


def test_every_server_holds_the_data(host: Any) -> None:
    with host.sudo():
        assert host.file("/var/lib/rancher/k3s/server/db/etcd/member/wal").is_directory


def test_one_server_initialised_and_the_others_joined(host: Any) -> None:
    with host.sudo():
        config = host.file("/etc/rancher/k3s/config.yaml").content_string
    first = host.check_output("hostname") == "server-1"
    assert ("cluster-init: true" in config) is first
    assert ("\nserver: " in config) is not first


def test_the_change_reached_every_server(host: Any) -> None:
    nodes = kubectl(host, "get nodes")["items"]
    assert {node["metadata"]["name"]: node["status"]["capacity"]["pods"] for node in nodes} == dict.fromkeys(
        SERVERS, "77"
    )


def test_servers_restarted_one_after_the_other(host: Any, starts: dict[str, tuple[int, int]]) -> None:
    """From its start to its readiness no two servers were away together: etcd kept its quorum."""
    spans = sorted(starts.values())
    for (_, ready), (begun, _) in pairwise(spans):
        assert begun > ready
