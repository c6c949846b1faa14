"""NetworkPolicies are enforced, also across nodes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.waiting import wait_for

from .conftest import ANSWER_SECONDS, Cluster, Machine, namespace

FRIEND = {"podSelector": {"matchLabels": {"friend": "yes"}}}
ELSEWHERE = {"namespaceSelector": {"matchLabels": {"elsewhere": "yes"}}}


@pytest.fixture(scope="module")
def address(cluster: Cluster, server: Machine, agent: Machine) -> dict[str, str]:
    """`web` is asked by two pods of its node (`near`, `friend`) and one of another node (`far`)."""
    if server.config.get("disable-network-policy"):
        pytest.skip("disable-network-policy is set")
    nodes = {"web": server.node, "near": server.node, "friend": server.node, "far": agent.node}
    labels = {"friend": {"app": "friend", "friend": "yes"}}
    with ThreadPoolExecutor() as pool:
        addresses = pool.map(lambda name: cluster.pod(name, nodes[name], labels.get(name)), nodes)
        return dict(zip(nodes, addresses, strict=True))


@pytest.fixture(scope="module")
def asking(cluster: Cluster, address: dict[str, str], server: Machine) -> Iterator[dict[str, Cluster]]:
    """Return who asks `web`, with its namespace: `namesake` has the label of `friend`, but is elsewhere."""
    with namespace(server) as elsewhere:
        elsewhere.kubectl(f"label namespace {elsewhere.namespace} elsewhere=yes")
        elsewhere.pod("namesake", server.node, {"app": "namesake", "friend": "yes"})
        yield {**dict.fromkeys(("near", "friend", "far"), cluster), "namesake": elsewhere}


def policy(name: str = "tried", **spec: Any) -> dict[str, Any]:
    """Return a policy, which selects `web` unless it says otherwise."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, **spec},
    }


def answered(asking: dict[str, Cluster], web: str) -> set[str]:
    """Return who hears something from `web`; all of them ask at once."""
    with ThreadPoolExecutor() as pool:
        heard = list(pool.map(lambda name: asking[name].ask(name, web), asking))
    return {name for name, answer in zip(asking, heard, strict=True) if answer == "web"}


EVERYBODY = {"near", "friend", "far", "namesake"}
CASES = {
    "without a policy everybody gets through": (None, EVERYBODY),
    "a policy without rules stops everybody": (policy(), set()),
    "an empty rule lets everybody through": (policy(ingress=[{}]), EVERYBODY),
    "a selected peer gets through, of this namespace only": (
        policy(ingress=[{"from": [FRIEND]}]),
        {"friend"},
    ),
    "no label is any pod of this namespace": (
        policy(ingress=[{"from": [{"podSelector": {}}]}]),
        {"near", "friend", "far"},
    ),
    "a selected namespace gets through": (policy(ingress=[{"from": [ELSEWHERE]}]), {"namesake"}),
    "both selectors of a peer must match": (
        policy(ingress=[{"from": [{**ELSEWHERE, **FRIEND}]}]),
        {"namesake"},
    ),
    "of two peers one must match": (policy(ingress=[{"from": [ELSEWHERE, FRIEND]}]), {"friend", "namesake"}),
    "a port by its name": (policy(ingress=[{"ports": [{"port": "http"}]}]), EVERYBODY),
    "another port does not help": (policy(ingress=[{"ports": [{"port": 9}]}]), set()),
    "another protocol does not help": (
        policy(ingress=[{"ports": [{"port": 8080, "protocol": "UDP"}]}]),
        set(),
    ),
    "a range of ports": (
        policy(ingress=[{"ports": [{"port": 8000, "endPort": 9000}], "from": [FRIEND]}]),
        {"friend"},
    ),
    "a peer by the name of a port": (
        policy(ingress=[{"ports": [{"port": "http"}], "from": [FRIEND]}]),
        {"friend"},
    ),
    "egress only leaves ingress open": (policy(policyTypes=["Egress"]), EVERYBODY),
    "rules for egress close ingress, too": (policy(egress=[{}]), set()),
}


@pytest.mark.parametrize(("tried", "through"), CASES.values(), ids=CASES.keys())
def test_who_gets_through(
    cluster: Cluster,
    address: dict[str, str],
    asking: dict[str, Cluster],
    tried: dict[str, Any] | None,
    through: set[str],
) -> None:
    """Exactly those whom a policy allows get through."""
    if tried is None:
        cluster.kubectl("delete networkpolicy tried --ignore-not-found")
    else:
        cluster.apply(tried)

    wait_for(
        lambda: answered(asking, address["web"]) == through,
        f"not exactly {through or 'nobody'} gets through",
    )


def test_policies_add_up(cluster: Cluster, address: dict[str, str], asking: dict[str, Cluster]) -> None:
    """What one of several policies allows is allowed."""
    cluster.apply(policy(ingress=[{"from": [FRIEND]}]), policy("second", ingress=[{"from": [ELSEWHERE]}]))
    wait_for(
        lambda: answered(asking, address["web"]) == {"friend", "namesake"}, "not exactly both get through"
    )
    cluster.kubectl("delete networkpolicy second")


def test_what_is_forbidden_is_answered_at_once(cluster: Cluster, address: dict[str, str]) -> None:
    """kube-router rejects, it does not drop: a program that is not let through does not wait."""
    cluster.apply(policy())
    wait_for(lambda: not cluster.ask("near", address["web"]), "the policy is not enforced")
    heard = cluster.kubectl(
        f"exec near -- timeout {ANSWER_SECONDS} wget -qO- http://{address['web']}:8080/", fails=True
    )
    assert "refused" in heard or "unreachable" in heard, heard


def test_a_block_leaves_out_its_exception(cluster: Cluster, address: dict[str, str]) -> None:
    """`except` takes addresses out of a block."""
    block = {"cidr": "0.0.0.0/0", "except": [f"{address['near']}/32"]}
    cluster.apply(policy(ingress=[{"from": [{"ipBlock": block}]}]))
    wait_for(lambda: not cluster.ask("near", address["web"]), "the exception gets through")
    wait_for(lambda: cluster.ask("far", address["web"]) == "web", "the other pods get nothing through")


def test_a_name_in_egress_is_that_of_the_receivers_port(cluster: Cluster, address: dict[str, str]) -> None:
    """A pod may call the port `http` of those whom the policy names, and no other pod."""
    allowed = {"ports": [{"port": "http"}], "to": [{"podSelector": {"matchLabels": {"app": "far"}}}]}
    selected = {"matchLabels": {"app": "near"}}
    cluster.apply(policy(podSelector=selected, policyTypes=["Egress"], egress=[allowed]))
    wait_for(lambda: not cluster.ask("near", address["friend"]), "the policy is not enforced")
    wait_for(lambda: cluster.ask("near", address["far"]) == "far", "the allowed pod is not reached")


def test_egress_stops_a_pod_also_on_the_way_to_its_own_node(
    cluster: Cluster, address: dict[str, str], server: Machine
) -> None:
    """The node is no way around a policy."""
    addresses = cluster.get(f"node/{server.node}")["status"]["addresses"]
    node = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    seconds = ANSWER_SECONDS
    nc = f"timeout {seconds} nc -w {seconds} {node} {server.port} </dev/null"
    dial = f"k3s kubectl -n {cluster.namespace} exec near -- {nc}"
    cluster.kubectl("delete networkpolicy tried --ignore-not-found")
    wait_for(lambda: server.answer(dial).rc == 0, "the pod does not reach its node without a policy")
    cluster.apply(policy(podSelector={"matchLabels": {"app": "near"}}, policyTypes=["Egress"]))
    wait_for(lambda: not cluster.ask("near", address["far"]), "a pod without egress reaches another")
    server.run(dial, fails=True)
    cluster.kubectl("delete networkpolicy tried")


def test_the_node_itself_always_reaches_its_pods(
    cluster: Cluster, address: dict[str, str], server: Machine
) -> None:
    """The kubelet's probes get through whatever a policy says."""
    cluster.apply(policy())
    wait_for(lambda: not cluster.ask("near", address["web"]), "the policy is not enforced")
    assert server.run(f"curl -s --max-time {ANSWER_SECONDS} http://{address['web']}:8080/").strip() == "web"
    cluster.kubectl("delete networkpolicy tried")
