"""What a firewall closes to the other nodes is judged by its own words: ufw's status, nftables' JSON."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.node.firewall import (
    Packet,
    closed_by_nftables,
    closed_by_ufw,
    packets,
    sentence,
)
from tests.support.modules import cases

PEER, PODS = "192.0.2.2", "10.42.0.0/16"
WANTED = packets("server", etcd=False, peers=[PEER], pods=PODS, card="eth1")

# What `ufw status verbose` of ufw 0.36 says before its rules.
UFW = """Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), deny (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
"""


def closed(case: dict[str, Any]) -> list[str] | None:
    if "ufw" in case:
        firewall = closed_by_ufw(UFW + case["ufw"], WANTED)
    else:
        firewall = closed_by_nftables(ruleset(case["chains"]), WANTED)
    return None if firewall is None else [f"{packet.door} from {packet.source}" for packet in firewall.closed]


def ruleset(chains: dict[str, Any]) -> dict[str, Any]:
    """The JSON of `nft --json list ruleset`; a chain named `input` is the one that sees what comes in."""
    common = {"family": "inet", "table": "filter"}
    items: list[dict[str, Any]] = [{"metainfo": {"version": "1.0.6"}}]
    for name, rules in chains.items():
        base = (
            {"hook": "input", "type": "filter", "prio": 0, "policy": rules["policy"]}
            if "policy" in rules
            else {}
        )
        items.append({"chain": {**common, "name": name, **base}})
        items += [
            {"rule": {**common, "chain": name, "expr": list(map(expression, rule))}}
            for rule in rules["rules"]
        ]
    return {"nftables": items}


def expression(short: Any) -> dict[str, Any]:
    """A match written as [left, right]; a verdict as its word; all else as it is."""
    if isinstance(short, list):
        (kind, key), right = short[0].split(), short[1]
        left = (
            {"payload": {"protocol": kind, "field": key}}
            if kind not in ("ct", "meta", "fib")
            else {kind: {"key": key}}
        )
        return {"match": {"op": "in" if kind == "ct" else "==", "left": left, "right": right}}
    if isinstance(short, str):
        verb, _, target = short.partition(" ")
        return {verb: {"target": target} if target else None}
    return dict(short)


@pytest.mark.parametrize("case", cases(__file__))
def test_closed(case: dict[str, Any]) -> None:
    assert closed(case) == case["closed"]


def test_ufw_that_is_off_is_no_firewall() -> None:
    assert closed_by_ufw("Status: inactive\n", WANTED) is None


def test_ufw_that_lets_all_in_closes_nothing() -> None:
    firewall = closed_by_ufw(UFW.replace("deny (incoming)", "allow (incoming)"), WANTED)
    assert firewall is not None
    assert not firewall.closed


def test_servers_of_a_datastore_let_each_other_in() -> None:
    doors = [packet.door for packet in packets("server", etcd=True, peers=[PEER], pods="", vxlan=False)]
    assert doors == ["10250/tcp", "6443/tcp", "2379/tcp", "2380/tcp"]


def test_sentence_names_ports_sources_and_the_remedy() -> None:
    firewall = closed_by_ufw(UFW, [Packet(10250, "tcp", PEER), Packet(8472, "udp", PEER)])
    assert firewall is not None
    assert sentence(firewall) == (
        "its firewall (ufw) closes 10250/tcp, 8472/udp to 192.0.2.2 (other nodes, pods): "
        "open them (ufw allow from 192.0.2.2)"
    )
