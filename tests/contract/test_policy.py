"""NetworkPolicies are enforced, also across nodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.waiting import wait_for

from .conftest import ANSWER_SECONDS, Cluster, Machine

FRIEND = {"podSelector": {"matchLabels": {"friend": "yes"}}}


@pytest.fixture(scope="module")
def address(cluster: Cluster, server: Machine, agent: Machine) -> dict[str, str]:
    """`web` is asked by two pods of its node (`near`, `friend`) and one of another node (`far`)."""
    if server.config.get("disable-network-policy"):
        pytest.skip("disable-network-policy is set")
    return {
        "web": cluster.pod("web", server.node),
        "near": cluster.pod("near", server.node),
        "friend": cluster.pod("friend", server.node, {"app": "friend", "friend": "yes"}),
        "far": cluster.pod("far", agent.node),
    }


def policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "tried"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, **spec},
    }


CASES = {
    "without a policy everybody gets through": (None, {"near", "friend", "far"}),
    "a policy without rules stops everybody": (policy(), set()),
    "a selected peer gets through": (policy(ingress=[{"from": [FRIEND]}]), {"friend"}),
    "a port by its name": (policy(ingress=[{"ports": [{"port": "http"}]}]), {"near", "friend", "far"}),
    "another port does not help": (policy(ingress=[{"ports": [{"port": 9}]}]), set()),
    "a range of ports": (
        policy(ingress=[{"ports": [{"port": 8000, "endPort": 9000}], "from": [FRIEND]}]),
        {"friend"},
    ),
    "egress only leaves ingress open": (policy(policyTypes=["Egress"]), {"near", "friend", "far"}),
}


@pytest.mark.parametrize(("tried", "through"), CASES.values(), ids=CASES.keys())
def test_who_gets_through(
    cluster: Cluster, address: dict[str, str], tried: dict[str, Any] | None, through: set[str]
) -> None:
    if tried is None:
        cluster.kubectl("delete networkpolicy tried --ignore-not-found")
    else:
        cluster.apply(tried)

    def as_wanted() -> bool:
        asking = ("near", "friend", "far")
        with ThreadPoolExecutor() as pool:
            heard = list(pool.map(lambda name: cluster.ask(name, address["web"]), asking))
        return {name for name, answer in zip(asking, heard, strict=True) if answer == "web"} == through

    wait_for(as_wanted, f"not exactly {through or 'nobody'} gets through")


def test_a_block_leaves_out_its_exception(cluster: Cluster, address: dict[str, str]) -> None:
    block = {"cidr": "0.0.0.0/0", "except": [f"{address['near']}/32"]}
    cluster.apply(policy(ingress=[{"from": [{"ipBlock": block}]}]))
    wait_for(lambda: not cluster.ask("near", address["web"]), "the exception gets through")
    wait_for(lambda: cluster.ask("far", address["web"]) == "web", "the other pods get nothing through")


def test_egress_stops_a_pod_also_on_the_way_to_its_own_node(
    cluster: Cluster, address: dict[str, str], server: Machine
) -> None:
    addresses = cluster.get(f"node/{server.node}")["status"]["addresses"]
    node = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    seconds = ANSWER_SECONDS
    dial = f"exec near -- timeout {seconds} nc -w {seconds} {node} {server.port} </dev/null"
    server.run(f"k3s kubectl -n {cluster.namespace} {dial}")
    cluster.apply(policy(podSelector={"matchLabels": {"app": "near"}}, policyTypes=["Egress"]))
    wait_for(lambda: not cluster.ask("near", address["far"]), "a pod without egress reaches another")
    server.run(f"k3s kubectl -n {cluster.namespace} {dial}", fails=True)
    cluster.kubectl("delete networkpolicy tried")


def test_the_node_itself_always_reaches_its_pods(
    cluster: Cluster, address: dict[str, str], server: Machine
) -> None:
    cluster.apply(policy())
    wait_for(lambda: not cluster.ask("near", address["web"]), "the policy is not enforced")
    assert server.run(f"curl -s --max-time {ANSWER_SECONDS} http://{address['web']}:8080/").strip() == "web"
    cluster.kubectl("delete networkpolicy tried")
