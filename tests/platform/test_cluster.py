"""The cluster as its pods see it: network, names, storage, policies."""

from __future__ import annotations

import socket
import time
import urllib.request
from typing import Any

import pytest
from sandbox import Sandbox
from tests.support.waiting import wait_for

from kubernetes import client


@pytest.fixture(scope="module")
def nodes(api: Any) -> list[Any]:
    return client.CoreV1Api(api).list_node().items


def is_ready(node: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def test_every_machine_is_a_ready_node(nodes: list[Any], platform: dict[str, Any]) -> None:
    assert {node.metadata.name for node in nodes if is_ready(node)} == set(platform["nodes"])


def test_one_storage_class_is_the_default(api: Any, platform: dict[str, Any]) -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = client.StorageV1Api(api).list_storage_class().items
    defaults = [c.metadata.name for c in classes if (c.metadata.annotations or {}).get(mark) == "true"]
    assert len(defaults) == 1
    assert defaults == ["local-path"] or platform["machines"] == "existing"


def test_no_pod_is_failing(api: Any) -> None:
    pods = client.CoreV1Api(api).list_pod_for_all_namespaces().items
    bad = [
        f"{pod.metadata.namespace}/{pod.metadata.name}: {pod.status.phase}"
        for pod in pods
        if pod.status.phase not in ("Running", "Succeeded") and not pod.metadata.namespace.startswith("test-")
    ]
    assert bad == []


def test_metrics_server_measures_the_nodes(api: Any, nodes: list[Any], platform: dict[str, Any]) -> None:
    groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
    if platform["machines"] == "existing" and "metrics.k8s.io" not in groups:
        pytest.skip("a cluster that was there before need not have a metrics server")
    metrics = client.CustomObjectsApi(api)

    def measured() -> bool:
        try:
            items = metrics.list_cluster_custom_object("metrics.k8s.io", "v1beta1", "nodes")["items"]
        except client.ApiException:
            return False
        return {item["metadata"]["name"] for item in items} == {node.metadata.name for node in nodes}

    wait_for(measured, "metrics.k8s.io does not list all nodes")


@pytest.fixture(scope="module")
def web(sandbox: Sandbox, nodes: list[Any]) -> dict[str, str]:
    """A pod on every node: name -> address."""
    return {f"web-{n}": sandbox.pod(f"web-{n}", node=node.metadata.name) for n, node in enumerate(nodes)}


def test_pods_reach_each_other_across_nodes(sandbox: Sandbox, web: dict[str, str]) -> None:
    answers = {(a, b): sandbox.fetch(a, address) for a in web for b, address in web.items()}
    assert answers == {(a, b): b for a in web for b in web}


def test_service_is_found_by_name_and_from_outside(
    sandbox: Sandbox, web: dict[str, str], platform: dict[str, Any]
) -> None:
    service = sandbox.core.create_namespaced_service(
        sandbox.namespace,
        {
            "metadata": {"name": "web"},
            "spec": {
                "type": "NodePort",
                "selector": {"app": "web-0"},
                "ports": [{"port": 80, "targetPort": 8000}],
            },
        },
    )
    name = f"web.{sandbox.namespace}.svc.cluster.local"
    for pod in web:
        wait_for(
            lambda pod=pod: sandbox.fetch(pod, name, 80) == "web-0", f"{name} is not reached from {pod}", 30
        )
    port = service.spec.ports[0].node_port
    for address in platform["nodes"].values():
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=10) as answer:
            assert answer.read().decode().strip() == "web-0"


def test_pods_resolve_names_of_the_cluster(sandbox: Sandbox, web: dict[str, str]) -> None:
    program = "import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))"
    for pod in web:
        address = sandbox.run(pod, "python3", "-c", program).strip()
        assert socket.inet_aton(address), address


def test_volume_outlives_its_pod(sandbox: Sandbox) -> None:
    sandbox.core.create_namespaced_persistent_volume_claim(
        sandbox.namespace,
        {
            "metadata": {"name": "home"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
        },
    )
    spec: dict[str, Any] = {
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}],
        "container": {"volumeMounts": [{"name": "home", "mountPath": "/data"}]},
        "securityContext": {"runAsUser": 1000, "fsGroup": 100},
    }
    sandbox.pod("writer", **{**spec})
    sandbox.run("writer", "sh", "-c", "echo kept > /data/file")
    sandbox.delete("writer")
    sandbox.pod("reader", **{**spec})
    assert sandbox.run("reader", "cat", "/data/file").strip() == "kept"


def test_memory_limit_ends_what_exceeds_it(sandbox: Sandbox) -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}}
    sandbox.core.create_namespaced_pod(
        sandbox.namespace,
        {
            "metadata": {"name": "hungry"},
            "spec": {
                "restartPolicy": "Never",
                "imagePullSecrets": sandbox.pull_secrets,
                "containers": [
                    {
                        "name": "main",
                        "image": sandbox.image,
                        "command": ["python3", "-c", "x = bytearray(256 * 2**20); print(len(x))"],
                        **limits,
                    }
                ],
            },
        },
    )

    def reason() -> str | None:
        statuses = (
            sandbox.core.read_namespaced_pod("hungry", sandbox.namespace).status.container_statuses or []
        )
        ended = [s.state.terminated.reason for s in statuses if s.state.terminated]
        return ended[0] if ended else None

    wait_for(lambda: reason() is not None, lambda: sandbox.explain("hungry"))
    assert reason() == "OOMKilled"


def test_network_policy_blocks_and_allows(sandbox: Sandbox, nodes: list[Any]) -> None:
    """Default deny with one exception, from the same and another node; its removal opens again."""
    target = sandbox.pod("target", node=nodes[0].metadata.name, labels={"app": "target"})
    for number, node in enumerate(nodes):
        sandbox.pod(f"friend-{number}", node=node.metadata.name, labels={"access": "friend"})
        sandbox.pod(f"stranger-{number}", node=node.metadata.name, labels={"access": "stranger"})
    numbers = range(len(nodes))
    assert all(sandbox.fetch(f"stranger-{n}", target) == "target" for n in numbers), "open before any policy"
    sandbox.networking.create_namespaced_network_policy(
        sandbox.namespace,
        {
            "metadata": {"name": "only-friends"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "target"}},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": {"access": "friend"}}}],
                        "ports": [{"port": 8000, "protocol": "TCP"}],
                    }
                ],
            },
        },
    )
    began = time.monotonic()
    wait_for(
        lambda: sandbox.fetch("stranger-0", target, seconds=5) != "target", "the policy is not enforced", 30
    )
    print(f"enforced within {time.monotonic() - began:.1f} s")
    assert [sandbox.fetch(f"friend-{n}", target) for n in numbers] == ["target"] * len(nodes)
    assert all(sandbox.fetch(f"stranger-{n}", target, seconds=5) != "target" for n in numbers)
    sandbox.networking.delete_namespaced_network_policy("only-friends", sandbox.namespace)
    wait_for(
        lambda: sandbox.fetch("stranger-0", target) == "target", "the policy's removal has no effect", 30
    )
