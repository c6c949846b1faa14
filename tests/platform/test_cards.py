"""Machines with several network cards: traffic between nodes stays on the nodes' network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sandbox import Sandbox

from kubernetes import client

testinfra_hosts = ["ansible://k3s_cluster"]
MUCH = 20_000_000


@pytest.fixture
def cards(host: Any) -> dict[str, str]:
    """Each IPv4 address of the machine, and the card that has it."""
    return {
        address["local"]: card["ifname"]
        for card in json.loads(host.check_output("ip -json -4 address"))
        for address in card["addr_info"]
    }


def received(host: Any, card: str) -> int:
    """How many bytes came in through a card since it is there."""
    return int(host.file(f"/sys/class/net/{card}/statistics/rx_bytes").content_string)


def test_pods_traffic_takes_the_card_of_the_nodes_address(
    host: Any, cards: dict[str, str], sandbox: Sandbox, api: Any
) -> None:
    own: dict[str, str] = {}
    others: list[str] = []
    for node in client.CoreV1Api(api).list_node().items:
        (address,) = (each.address for each in node.status.addresses if each.type == "InternalIP")
        if address in cards:
            own = {"node": node.metadata.name, "card": cards[address]}
        else:
            others.append(node.metadata.name)
    if not others:
        pytest.skip("a single node has no neighbour")
    far = sandbox.pod(f"far-of-{own['node']}", node=others[0])
    sandbox.run(f"far-of-{own['node']}", "sh", "-c", f"head -c {MUCH} /dev/zero > /tmp/www/much")
    sandbox.pod(f"near-{own['node']}", node=own["node"])
    before = received(host, own["card"])
    program = f"import urllib.request; print(len(urllib.request.urlopen('http://{far}:8000/much').read()))"
    assert sandbox.run(f"near-{own['node']}", "python3", "-c", program).strip() == str(MUCH)
    assert received(host, own["card"]) - before >= MUCH
