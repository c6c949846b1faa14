"""What keeps the platform from running on a cluster is named, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.cluster import release
from tests.support.cluster_api import CLASSES, SERVICES, answers, kubeconfig, node, serving
from tests.support.modules import run_module

DNS = "/api/v1/namespaces/kube-system/configmaps/coredns"


def judge(path: Path, capsys: Any, **more: Any) -> list[str]:
    params = {"namespace": "hub", "minimum": "1.28", "node_port": 30080, "kubeconfig": str(path), **more}
    answer = run_module("preflight_cluster", {"context": "test", **params}, capsys)
    assert not answer["failed"]
    return answer["problems"]


def service(namespace: str, name: str) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": 30080}]
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"ports": ports}}


def test_a_fit_cluster_is_accepted(tmp_path: Path, capsys: Any) -> None:
    with serving(answers(), tmp_path) as path:
        assert judge(path, capsys) == []


@pytest.mark.parametrize(
    ("changed", "more", "says"),
    [
        (
            {"/version": {"gitVersion": "v1.27.16"}},
            {},
            "runs Kubernetes v1.27.16; the hub's chart needs 1.28",
        ),
        ({"/api/v1/nodes": {"items": []}}, {}, "no node of the cluster is Ready (there is none)"),
        (
            {"/api/v1/nodes": {"items": [node("one", ready=False)]}},
            {},
            "no node of the cluster is Ready (one)",
        ),
        (
            {"/api/v1/nodes": {"items": [node("one", arch="s390x")]}},
            {},
            "cannot run them: one (s390x). Run Ansible",
        ),
        (
            {CLASSES: {"items": []}},
            {},
            "no default storage class: name one in jupyterhub_storage_class; it has: none",
        ),
        (
            {},
            {"storage_class": "slow"},
            "jupyterhub_storage_class is 'slow', which the cluster lacks; it has: fast",
        ),
        ({SERVICES: {"items": [service("other", "web")]}}, {}, "30080 is taken by the service other/web"),
        ({"denied": ["secrets"]}, {}, "may not create secrets for the namespace hub"),
        ({"denied": ["namespaces"], "/api/v1/namespaces/hub": None}, {}, "may not create namespaces for"),
        ({"/api/v1/nodes": 403}, {}, "may not look at the cluster, as with the role view"),
        ({"token": "other"}, {}, "does not accept the login of the context test, get a new kubeconfig"),
    ],
)
def test_what_is_wrong_is_named(
    changed: dict[str, Any], more: dict[str, Any], says: str, tmp_path: Path, capsys: Any
) -> None:
    with serving(answers(**changed), tmp_path) as path:
        (problem,) = judge(path, capsys, **more)
    assert says in problem


def corefile(zones: str) -> dict[str, Any]:
    """What a cluster answers whose CoreDNS has this line for the plugin kubernetes."""
    plugin = f"    kubernetes {zones} {{\n      pods insecure\n    }}\n"
    text = f".:53 {{\n    errors\n{plugin}    forward . /etc/resolv.conf\n}}\n"
    return {DNS: {"data": {"Corefile": text}}}


@pytest.mark.parametrize(
    ("changed", "domain"),
    [
        (corefile("cluster.local in-addr.arpa ip6.arpa"), ""),
        (corefile("corp.example cluster.local in-addr.arpa"), ""),
        (corefile("corp.example in-addr.arpa ip6.arpa"), "corp.example"),
        ({DNS: 403}, ""),
        ({DNS: None}, ""),
        ({DNS: {"data": {}}}, ""),
    ],
)
def test_another_domain_of_the_cluster_is_refused_where_it_can_be_seen(
    changed: dict[str, Any], domain: str, tmp_path: Path, capsys: Any
) -> None:
    with serving(answers(**changed), tmp_path) as path:
        found = judge(path, capsys, usual_domain=True)
        assert judge(path, capsys) == [], "the hub follows any domain"
    assert [sentence.split(",")[0] for sentence in found] == [f"the cluster's domain is {domain}"] * bool(
        domain
    )


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path, capsys: Any) -> None:
    with serving(
        answers(**{"/version": {"gitVersion": "v1.20.0"}, CLASSES: {"items": []}}), tmp_path
    ) as path:
        assert len(judge(path, capsys)) == 2


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({SERVICES: {"items": [service("hub", "proxy-public")]}}, {}),  # its own, from the run before
        ({SERVICES: {"items": [service("other", "web")]}}, {"node_port": 0}),
        ({SERVICES: 403}, {}),  # not everybody may list them; the API refuses a port that is taken
        ({"/api/v1/nodes": {"items": [node("one", arch="s390x")]}}, {"own_images": False}),
        ({"denied": ["namespaces"]}, {}),  # it is there already
    ],
)
def test_what_does_no_harm_is_accepted(
    changed: dict[str, Any], more: dict[str, Any], tmp_path: Path, capsys: Any
) -> None:
    with serving(answers(**changed), tmp_path) as path:
        assert judge(path, capsys, **more) == []


def test_a_node_that_takes_no_pods_may_be_of_any_kind(tmp_path: Path, capsys: Any) -> None:
    nodes = [node("one"), {**node("two", arch="s390x"), "spec": {"unschedulable": True}}]
    with serving(answers(**{"/api/v1/nodes": {"items": nodes}}), tmp_path) as path:
        assert judge(path, capsys) == []


CORE = {"key": "hub.jupyter.org/dedicated", "value": "core", "effect": "NoSchedule"}
DATABASE = {"key": "team", "value": "database", "effect": "NoExecute"}


def tainted(name: str, *taints: dict[str, str], cordoned: bool = False) -> dict[str, Any]:
    return {**node(name), "spec": {"taints": list(taints), "unschedulable": cordoned}}


@pytest.mark.parametrize(
    ("nodes", "tolerations", "says"),
    [
        pytest.param(
            [tainted("box", {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})],
            {"the hub": []},
            "the pods of the hub: box has the taint node-role.kubernetes.io/control-plane:NoSchedule. Add a",
            id="the_only_node_is_tainted",
        ),
        pytest.param(
            [tainted("a", cordoned=True), tainted("b", DATABASE), node("c", ready=False)],
            {"the hub": []},
            "a is cordoned; b has the taint team=database:NoExecute; c is not Ready. Add",
            id="each_node_refuses_for_another_reason",
        ),
        pytest.param(
            [tainted("a", CORE), tainted("b", DATABASE)],
            {"the hub": [CORE], "the users' servers": []},
            "no node takes the pods of the users' servers: a has the taint hub.jupyter.org/dedicated=core",
            id="only_the_hub_finds_a_node",
        ),
        pytest.param(
            [tainted("a", DATABASE)],
            {"the hub": [{**DATABASE, "value": "web"}, {**DATABASE, "effect": "NoSchedule"}]},
            "no node takes the pods of the hub",
            id="another_value_or_effect_is_tolerated",
        ),
    ],
)
def test_nodes_that_take_no_pods_are_named(
    nodes: list[Any], tolerations: dict[str, Any], says: str, tmp_path: Path, capsys: Any
) -> None:
    with serving(answers(**{"/api/v1/nodes": {"items": nodes}}), tmp_path) as path:
        (problem,) = judge(path, capsys, tolerations=tolerations)
    assert says in problem


@pytest.mark.parametrize(
    ("nodes", "tolerations"),
    [
        pytest.param([tainted("a", DATABASE), node("b")], {"the hub": []}, id="another_node_is_free"),
        pytest.param([tainted("a", DATABASE)], {"the hub": [DATABASE]}, id="it_is_tolerated"),
        pytest.param([tainted("a", DATABASE)], {"the hub": [{"operator": "Exists"}]}, id="all_is_tolerated"),
        pytest.param(
            [tainted("a", DATABASE)],
            {"the hub": [{"key": "team", "operator": "Exists"}]},
            id="every_value_is_tolerated",
        ),
        pytest.param(
            [tainted("a", {**DATABASE, "effect": "PreferNoSchedule"})],
            {"the hub": []},
            id="it_is_a_wish_only",
        ),
        pytest.param(
            [tainted("a", CORE), tainted("b", DATABASE)],
            {"the hub": [CORE], "the users' servers": [DATABASE]},
            id="each_finds_another_node",
        ),
    ],
)
def test_nodes_that_take_the_pods_are_accepted(
    nodes: list[Any], tolerations: dict[str, Any], tmp_path: Path, capsys: Any
) -> None:
    with serving(answers(**{"/api/v1/nodes": {"items": nodes}}), tmp_path) as path:
        assert judge(path, capsys, tolerations=tolerations) == []


def test_who_cannot_be_asked_is_named(tmp_path: Path, capsys: Any) -> None:
    with serving(answers(), tmp_path) as path:
        (unknown,) = judge(path, capsys, context="prod")
    assert "has no context 'prod'. It has: test." in unknown
    (gone,) = judge(path, capsys)
    assert "the API of the context test cannot be reached" in gone
    assert "Connection refused" in gone
    (missing,) = judge(tmp_path / "none", capsys)
    assert "none cannot be read: No such file or directory" in missing


def test_a_context_that_names_what_is_not_there_is_named(tmp_path: Path, capsys: Any) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    path.write_text(path.read_text().replace("name: u", "name: somebody"))
    assert "context 'test': it names the user 'u', which is not there" in judge(path, capsys)[0]


@pytest.mark.parametrize(
    ("version", "expected"), [("v1.34.4+k3s1", (1, 34)), ("v1.31.1-eks-1b3e656", (1, 31)), ("1.28", (1, 28))]
)
def test_versions_of_all_makers_are_understood(version: str, expected: tuple[int, int]) -> None:
    assert release(version) == expected
