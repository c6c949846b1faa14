"""A server that was alone has become one of three, and has kept its data."""

from __future__ import annotations

import json
from typing import Any

from tests.support.scenario import kubectl

SERVERS = ["server-1", "server-2", "server-3"]
FIRST = "server-3"  # the one that was alone


def test_all_are_ready_members(host: Any) -> None:
    nodes = kubectl(host, "get nodes --selector node-role.kubernetes.io/etcd=true")["items"]
    ready = {
        node["metadata"]["name"]: next(
            c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"
        )
        for node in nodes
    }
    assert ready == dict.fromkeys(SERVERS, "True")


def test_etcd_has_three_members(host: Any) -> None:
    address = kubectl(host, f"get node {host.check_output('hostname')}")["status"]["addresses"][0]["address"]
    with host.sudo():
        said = host.check_output(
            "cd /var/lib/rancher/k3s/server/tls/etcd && "
            "curl -s --fail --http1.1 --max-time 10 --cacert peer-ca.crt "
            f"--cert peer-server-client.crt --key peer-server-client.key https://{address}:2380/members"
        )
        assert host.file("/var/lib/rancher/k3s/server/db/etcd/member/wal").is_directory
    assert sorted(member["name"].rpartition("-")[0] for member in json.loads(said)) == SERVERS


def test_the_data_are_on_every_server(host: Any) -> None:
    assert kubectl(host, "get configmap before")["data"] == {"kept": "yes"}


def test_who_was_alone_was_converted_and_the_others_joined_it(host: Any) -> None:
    with host.sudo():
        config = host.file("/etc/rancher/k3s/config.yaml").content_string
        converted = host.file("/var/lib/rancher/k3s/server/db/state.db.migrated").exists
        assert not host.file("/var/lib/rancher/k3s/server/db/state.db").exists
    first = host.check_output("hostname") == FIRST
    assert ("cluster-init: true" in config) is first
    assert ("\nserver: " in config) is not first
    assert converted is first
