"""Whether a cluster can hold the store, and what its claim has to ask for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.object_store.fit import (
    Claim,
    Found,
    StorageClass,
    Wanted,
    claim_size,
    problems,
)
from tests.support.cluster_api import serving
from tests.support.modules import cases, run_module

GIB = 2**30
CLASSES = {
    "local-path": {"provisioner": "rancher.io/local-path", "default": True},
    "ceph": {"provisioner": "rbd.csi.ceph.com", "grows": True},
}
CLAIM = {
    "spec": {
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "local-path",
        "accessModes": ["ReadWriteOnce"],
    }
}


def cluster(described: dict[str, Any]) -> Found:
    classes = {name: StorageClass(**each) for name, each in described.get("classes", CLASSES).items()}
    disks = described.get("disks", {"one": [40, 50]})
    claim = described.get("claim")
    return Found(
        classes,
        Claim(**claim) if claim else None,
        described.get("root_secret", ""),
        {node: (free * GIB, total * GIB) for node, (free, total) in disks.items()},
    )


@pytest.mark.parametrize("case", cases(__file__))
def test_case(case: dict[str, Any]) -> None:
    wanted, found = Wanted(**{"size": "20Gi", **case.get("wanted", {})}), cluster(case.get("found", {}))
    assert claim_size(wanted, found) == case["claim"]
    said = list(problems(wanted, found))
    assert len(said) == len(case.get("problems", [])), said
    for sentence, part in zip(said, case.get("problems", []), strict=True):
        assert part in sentence


def answers(**changed: Any) -> dict[str, Any]:
    """What a cluster with a store answers; its node's disk has 8 of 10 GiB free."""
    namespace = "/api/v1/namespaces/store"
    root = base64.b64encode(b"mine").decode()
    return {
        "/apis/storage.k8s.io/v1/storageclasses": {
            "items": [{"metadata": {"name": "local-path"}, "provisioner": "rancher.io/local-path"}]
        },
        f"{namespace}/persistentvolumeclaims/object-store": CLAIM,
        f"{namespace}/secrets/object-store-credentials": {"data": {"rootSecretAccessKey": root}},
        "/api/v1/nodes": {"items": [{"metadata": {"name": "one"}}]},
        "/api/v1/nodes/one/proxy/stats/summary": {
            "node": {"fs": {"availableBytes": 8 * GIB, "capacityBytes": 10 * GIB}}
        },
        **changed,
    }


def ask(known: dict[str, Any], tmp_path: Path, capsys: Any, **options: Any) -> dict[str, Any]:
    with serving(known, tmp_path) as kubeconfig:
        params = {"namespace": "store", "size": "9Gi", "storage_class": "local-path", **options}
        return run_module("object_store_fit", {"kubeconfig": str(kubeconfig), **params}, capsys)


def test_a_store_that_is_there_keeps_its_claim(tmp_path: Path, capsys: Any) -> None:
    found = ask(answers(), tmp_path, capsys, root_secret="mine")
    assert (found["problems"], found["claim_size"]) == ([], "5Gi")


def test_the_store_of_another_inventory_is_refused_without_its_secret(tmp_path: Path, capsys: Any) -> None:
    (sentence,) = ask(answers(), tmp_path, capsys, root_secret="zebra")["problems"]
    assert "was made by another inventory" in sentence and "mine" not in sentence


def test_a_new_store_is_compared_with_the_disks(tmp_path: Path, capsys: Any) -> None:
    none = {f"/api/v1/namespaces/store/{place}": 404 for place in ("persistentvolumeclaims/object-store",)}
    (sentence,) = ask(answers(**none), tmp_path, capsys)["problems"]
    assert "the most is on one, 7168 MiB" in sentence


def test_a_user_who_may_not_ask_nodes_is_not_told_of_their_disks(tmp_path: Path, capsys: Any) -> None:
    changed = {
        "/api/v1/namespaces/store/persistentvolumeclaims/object-store": 404,
        "/api/v1/nodes/one/proxy/stats/summary": 403,
    }
    assert ask(answers(**changed), tmp_path, capsys)["problems"] == []


def test_a_cluster_that_does_not_answer_is_one_problem(tmp_path: Path, capsys: Any) -> None:
    (sentence,) = ask({}, tmp_path, capsys)["problems"]
    assert sentence.startswith("the cluster cannot be asked")
