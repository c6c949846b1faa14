"""What is said about a workload that does not come up, from what a cluster answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.api import ApiError
from ansible.module_utils.metalworks.kubernetes.rollout import diagnose, hopeless, unfinished
from tests.support.cluster_api import answers, serving
from tests.support.modules import run_module

HUB = "/apis/apps/v1/namespaces/jh/deployments/hub"
SETS = "/apis/apps/v1/namespaces/jh/replicasets"
PODS = "/api/v1/namespaces/jh/pods"


class Cluster:
    """Answers as the API does, from a table of paths. Its hub is in its second revision."""

    def __init__(self, revision: str = "new", **waiting: str) -> None:
        self.objects: dict[str, Any] = {
            HUB: {
                "kind": "Deployment",
                "metadata": {"generation": 2},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"component": "hub"}}},
                "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1},
            },
            SETS: {"items": [self.replica_set("old", 9), self.replica_set("new", 10)]},
            PODS: {"items": [self.pod(waiting, revision)]},
            "/api/v1/namespaces/jh/events": {"items": [self.event("hub-db-dir"), self.event("other")]},
            "/api/v1/namespaces/jh/pods/hub-1/log": "first line\nlast line",
        }

    @staticmethod
    def replica_set(revision: str, number: int) -> dict[str, Any]:
        return {
            "metadata": {
                "labels": {"pod-template-hash": revision},
                "annotations": {"deployment.kubernetes.io/revision": str(number)},
            }
        }

    @staticmethod
    def pod(waiting: dict[str, str], revision: str) -> dict[str, Any]:
        return {
            "metadata": {"name": "hub-1", "labels": {"pod-template-hash": revision}},
            "spec": {
                "nodeName": "metal-1",
                "volumes": [{"persistentVolumeClaim": {"claimName": "hub-db-dir"}}],
            },
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
                "containerStatuses": [{"name": "hub", "ready": False, "state": {"waiting": waiting}}],
            },
        }

    @staticmethod
    def event(name: str) -> dict[str, Any]:
        return {
            "type": "Warning",
            "reason": "ProvisioningFailed",
            "message": f"no storage for {name}",
            "involvedObject": {"kind": "PersistentVolumeClaim", "name": name},
        }

    def get(self, path: str, **query: Any) -> Any:
        if path not in self.objects:
            raise ApiError(f"{path} not found", 404)
        if query.get("labelSelector"):
            assert query["labelSelector"] == "component=hub"
        return self.objects[path]

    def find(self, path: str) -> Any:
        return self.objects.get(path)


def test_what_is_missing_is_named_per_workload() -> None:
    found = unfinished(Cluster(), "jh", ["deployment/hub", "deployment/proxy"])  # type: ignore[arg-type]
    assert found == {"deployment/hub": "wants 1 pods: 0 available", "deployment/proxy": "is not there"}


def test_diagnosis_shows_state_condition_log_and_the_events_of_its_volumes() -> None:
    text = diagnose(Cluster(reason="CrashLoopBackOff"), "jh", ["deployment/hub"])  # type: ignore[arg-type]
    for part in (
        "pod hub-1 on metal-1: Pending",
        "not Ready: ContainersNotReady",
        "container hub waits: CrashLoopBackOff",
        "last line",
        "no storage for hub-db-dir",
    ):
        assert part in text
    assert "no storage for other" not in text


def test_workload_without_pods_is_said_to_have_none() -> None:
    assert "it has no pod" in diagnose(Cluster(), "jh", ["deployment/proxy"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "ends"),
    [("ErrImageNeverPull", True), ("ContainerCreating", False), ("ImagePullBackOff", False)],
)
def test_only_what_waiting_cannot_mend_ends_the_wait(reason: str, ends: bool) -> None:
    assert hopeless(Cluster(reason=reason), "jh", ["deployment/hub"], 0) is ends  # type: ignore[arg-type]


@pytest.mark.parametrize(("waited", "ends"), [(1, False), (60, True)])
def test_a_refused_pull_may_have_been_too_early(waited: float, ends: bool) -> None:
    message = 'failed to pull image "a.example/b:1": authorization failed: no basic auth credentials'
    cluster = Cluster(reason="ImagePullBackOff", message=message)
    assert hopeless(cluster, "jh", ["deployment/hub"], waited) is ends  # type: ignore[arg-type]


def test_a_broken_pod_of_the_revision_before_does_not_end_the_wait() -> None:
    cluster = Cluster("old", reason="ErrImageNeverPull")
    assert not hopeless(cluster, "jh", ["deployment/hub"], 0)  # type: ignore[arg-type]


def test_a_broken_pod_that_is_being_deleted_does_not_end_the_wait() -> None:
    cluster = Cluster(reason="ErrImageNeverPull")
    cluster.objects[PODS]["items"][0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not hopeless(cluster, "jh", ["deployment/hub"], 0)  # type: ignore[arg-type]


def test_pods_are_not_judged_before_the_controller_has_seen_the_change() -> None:
    cluster = Cluster(reason="ErrImageNeverPull")
    cluster.objects[HUB]["metadata"]["generation"] = 3
    assert not hopeless(cluster, "jh", ["deployment/hub"], 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("revision", "ends"), [("web-1", False), ("web-2", True)])
def test_a_statefulset_is_judged_by_its_newest_revision(revision: str, ends: bool) -> None:
    cluster = Cluster(reason="ErrImageNeverPull")
    cluster.objects["/apis/apps/v1/namespaces/jh/statefulsets/web"] = {
        **cluster.objects[HUB],
        "kind": "StatefulSet",
        "status": {"observedGeneration": 2, "updateRevision": "web-2"},
    }
    cluster.objects[PODS]["items"][0]["metadata"]["labels"] = {"controller-revision-hash": revision}
    assert hopeless(cluster, "jh", ["statefulset/web"], 0) is ends  # type: ignore[arg-type]


def test_the_cause_comes_first_and_is_not_taken_from_a_programs_log() -> None:
    cluster = Cluster()
    cluster.objects["/api/v1/namespaces/jh/pods/hub-1/log"] = "exceeded quota of patience"
    said = diagnose(cluster, "jh", ["deployment/hub"])  # type: ignore[arg-type]
    assert said.startswith("The likely cause: the pods' volume does not exist")


def test_a_quota_that_keeps_all_pods_away_is_the_cause() -> None:
    cluster = Cluster()
    cluster.objects[PODS]["items"] = []
    cluster.objects[HUB]["status"]["conditions"] = [
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetCreated"},
        {"type": "ReplicaFailure", "status": "True", "message": "pods is forbidden: exceeded quota: small"},
    ]
    said = diagnose(cluster, "jh", ["deployment/hub"])  # type: ignore[arg-type]
    assert "The likely cause: the namespace's ResourceQuota" in said
    assert "ReplicaFailure is True" in said
    assert "Available is False" in said
    assert "NewReplicaSetCreated" not in said


def test_a_secret_in_a_programs_log_is_not_shown(tmp_path: Path, capsys: Any) -> None:
    hub = {**Cluster().objects[HUB], "status": {"observedGeneration": 2, "replicas": 1}}
    pod = Cluster(reason="ErrImageNeverPull").objects[PODS]["items"][0]
    log = f"{PODS}/hub-1/log?container=hub&tailLines=15&previous=false"
    known = {
        HUB: hub,
        f"{SETS}?labelSelector=component%3Dhub": {"items": [Cluster.replica_set("new", 1)]},
        f"{PODS}?labelSelector=component%3Dhub": {"items": [pod]},
        "/api/v1/namespaces/jh/events": {"items": []},
        log: {"said": "cannot log in with pass-word-2026"},
    }
    with serving(answers(**known), tmp_path) as path:
        params = {"kubeconfig": str(path), "namespace": "jh", "workloads": ["deployment/hub"]}
        shown = run_module("k8s_rollout", {**params, "secrets": []}, capsys)
        hidden = run_module("k8s_rollout", {**params, "secrets": ["pass-word-2026"]}, capsys)
    assert "cannot log in with pass-word-2026" in shown["msg"]
    assert "cannot log in with ********" in hidden["msg"]
    assert "pass-word-2026" not in str(hidden)
