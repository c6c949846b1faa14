"""A server: its files, its API, its token, what it brings along."""

from __future__ import annotations

import base64
import json
import re

import pytest
import yaml
from tests.support.waiting import wait_for

from .conftest import Cluster, Machine


def test_the_kubeconfig_is_the_admins(server: Machine) -> None:
    config = yaml.safe_load(server.read("/etc/rancher/k3s/k3s.yaml"))
    assert config["current-context"] == "default"
    assert {each["name"] for key in ("clusters", "contexts", "users") for each in config[key]} == {"default"}
    assert config["clusters"][0]["cluster"]["server"] == f"https://127.0.0.1:{server.port}"
    assert {"client-certificate-data", "client-key-data"} <= set(config["users"][0]["user"])


def test_the_kubeconfig_has_the_mode_that_was_asked_for(server: Machine) -> None:
    wanted = str(server.config.get("write-kubeconfig-mode", "0600")).lstrip("0")
    assert server.mode("/etc/rancher/k3s/k3s.yaml") == f"root {wanted}"


def test_ready_is_answered_to_the_admin_and_to_nobody_else(server: Machine) -> None:
    assert server.run("k3s kubectl get --raw /readyz") == "ok"
    assert (
        server.run(f"curl -sk -o /dev/null -w '%{{http_code}}' https://127.0.0.1:{server.port}/readyz")
        == "401"
    )


@pytest.mark.parametrize("name", ["token", "node-token"])
def test_the_token_names_the_ca(server: Machine, name: str) -> None:
    path = f"{server.data}/server"
    assert server.mode(f"{path}/{name}") == "root 600"
    assert server.run(f"readlink -f {path}/{name}") == f"{path}/token"
    found = re.fullmatch(r"K10([0-9a-f]{64})::server:\S+", server.read(f"{path}/{name}"))
    assert found
    assert found[1] == server.run(f"sha256sum {path}/tls/server-ca.crt").split()[0]


def test_the_datastore_is_told_by_its_data(servers: list[Machine]) -> None:
    """`db/etcd/name` is written whatever the datastore is: only etcd's own data says that it is etcd."""
    for machine in servers:
        external = "datastore-endpoint" in machine.config
        assert external or machine.answer(f"test -f {machine.data}/server/db/etcd/name").rc == 0
        embedded = machine.answer(f"test -d {machine.data}/server/db/etcd/member/wal").rc == 0
        alone = machine.answer(f"test -f {machine.data}/server/db/state.db").rc == 0
        assert [embedded, alone, external].count(True) == 1
        assert embedded or len(servers) == 1 or external


def test_the_label_etcd_is_where_etcd_is_embedded(servers: list[Machine], cluster: Cluster) -> None:
    for machine in servers:
        labels = cluster.get(f"node/{machine.node}")["metadata"]["labels"]
        embedded = machine.answer(f"test -d {machine.data}/server/db/etcd/member/wal").rc == 0
        assert ("node-role.kubernetes.io/etcd" in labels) is embedded


def test_the_api_is_published_at_its_public_port(servers: list[Machine], cluster: Cluster) -> None:
    """Agents learn from it where the servers are."""
    found = cluster.get("endpointslice kubernetes", namespace="default")
    assert [port["port"] for port in found["ports"]] == [servers[0].port]
    assert len([address for end in found["endpoints"] for address in end["addresses"]]) == len(servers)


def test_measurements_name_their_containers(server: Machine) -> None:
    """Without containerd, cAdvisor names the pods and leaves their containers empty."""

    def named() -> bool:
        text = server.run(f"k3s kubectl get --raw /api/v1/nodes/{server.node}/proxy/metrics/cadvisor")
        return 'container_memory_working_set_bytes{container="coredns"' in text

    wait_for(named, "a container of a pod that has a name", seconds=90)


def test_only_a_server_has_a_role(server: Machine, agent: Machine, cluster: Cluster) -> None:
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in cluster.get("nodes")["items"]}
    assert nodes[server.node]["node-role.kubernetes.io/control-plane"] == "true"
    assert not [label for label in nodes[agent.node] if label.startswith("node-role.kubernetes.io/")]


@pytest.mark.parametrize(
    ("component", "deployment"),
    [
        ("coredns", "coredns"),
        ("local-storage", "local-path-provisioner"),
        ("metrics-server", "metrics-server"),
    ],
)
def test_a_bundled_component_runs_unless_disabled(
    server: Machine, cluster: Cluster, component: str, deployment: str
) -> None:
    if component in server.disabled:
        shown = cluster.kubectl(f"get deployment {deployment} --ignore-not-found", namespace="kube-system")
        assert shown == ""
        return
    cluster.kubectl(f"rollout status deployment/{deployment} --timeout=60s", namespace="kube-system")


def test_node_ports_are_those_of_the_range(server: Machine, cluster: Cluster) -> None:
    first, _, last = str(server.config.get("service-node-port-range", "30000-32767")).partition("-")
    spec = {"type": "NodePort", "selector": {"app": "nobody"}, "ports": [{"port": 8080}]}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ported"}, "spec": spec})
    given = cluster.get("service/ported")["spec"]["ports"][0]["nodePort"]
    assert int(first) <= given <= int(last)


def test_a_claim_gets_a_folder_of_the_node(cluster: Cluster, server: Machine) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    cluster.apply(claim)
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    cluster.pod("writer", server.node, container=mount, volumes=[volume])
    cluster.kubectl("exec writer -- sh -c 'echo kept > /data/file'")
    name = cluster.get("pvc/data")["spec"]["volumeName"]
    folder = server.config.get("default-local-storage-path", f"{server.data}/storage")
    assert server.run(f"cat {folder}/{name}_*/file") == "kept"


def test_pods_find_services_by_name(cluster: Cluster, server: Machine, agent: Machine) -> None:
    cluster.pod("named", agent.node)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "named"},
            "spec": {"selector": {"app": "named"}, "ports": [{"port": 8080}]},
        }
    )
    cluster.pod("asking")
    wait_for(lambda: cluster.ask("asking", "named") == "named", "the name does not lead to its pod")
    full = f"named.{cluster.namespace}.svc.{server.config.get('cluster-domain', 'cluster.local')}"
    wait_for(lambda: cluster.ask("asking", full) == "named", "the full name does not lead to the pod")


def test_a_manifest_of_the_folder_is_applied_and_kept(cluster: Cluster, server: Machine) -> None:
    path = f"{server.data}/server/manifests/contract-test.yaml"

    def manifest(value: str) -> str:
        metadata = {"name": "manifest", "namespace": cluster.namespace}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}
        return yaml.safe_dump(config)

    def found() -> str:
        shown = cluster.kubectl("get configmap manifest --ignore-not-found -o json")
        return str(json.loads(shown)["data"]["key"]) if shown else ""

    try:
        server.write(path, manifest("first"))
        wait_for(lambda: found() == "first", "the manifest was not applied")
        server.write(path, manifest("second"))
        wait_for(lambda: found() == "second", "the changed manifest was not applied")
    finally:
        server.run(f"rm -f {path}")
    assert found() == "second"


def test_secrets_are_encrypted_where_asked_for(server: Machine, cluster: Cluster) -> None:
    if "datastore-endpoint" in server.config:
        pytest.skip("the datastore is not on this machine")
    asked = bool(server.config.get("secrets-encryption"))
    word = "contract-" + cluster.namespace
    cluster.kubectl(f"create secret generic plain --from-literal=key={word}")
    assert base64.b64decode(cluster.get("secret/plain")["data"]["key"]).decode() == word
    server.run("sync")
    found = server.run(f"grep -rlaF {word} {server.data}/server/db || true")
    assert bool(found) is not asked
