"""What is said about a workload that does not come up, from what a cluster answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.api import ApiError
from ansible.module_utils.metalworks.kubernetes.rollout import diagnose, hopeless
from library.kubernetes.k8s_rollout import unfinished

HUB = "/apis/apps/v1/namespaces/jh/deployments/hub"


class Cluster:
    """Answers as the API does, from a table of paths."""

    def __init__(self, **waiting: str) -> None:
        self.objects: dict[str, Any] = {
            HUB: {
                "metadata": {"generation": 1},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"component": "hub"}}},
                "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1},
            },
            "/api/v1/namespaces/jh/pods": {"items": [self.pod(waiting)]},
            "/api/v1/namespaces/jh/events": {"items": [self.event("hub-db-dir"), self.event("other")]},
            "/api/v1/namespaces/jh/pods/hub-1/log": "first line\nlast line",
        }

    @staticmethod
    def pod(waiting: dict[str, str]) -> dict[str, Any]:
        return {
            "metadata": {"name": "hub-1"},
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
    assert "there is no pod of it" in diagnose(Cluster(), "jh", ["deployment/proxy"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "ends"),
    [("ErrImageNeverPull", True), ("ContainerCreating", False), ("ImagePullBackOff", False)],
)
def test_only_what_waiting_cannot_mend_ends_the_wait(reason: str, ends: bool) -> None:
    assert hopeless(Cluster(reason=reason), "jh", ["deployment/hub"], 0) is ends  # type: ignore[arg-type]
