"""When a workload is rolled out, and what is said while it is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.rollout import (
    describe_container,
    likely_cause,
    missing_part,
    workload_path,
)
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_missing_part(case: dict[str, Any]) -> None:
    workload = None
    if case["status"] is not None:
        workload = {
            "metadata": {"generation": 2},
            "spec": case.get("spec", {"replicas": 1}),
            "status": case["status"],
        }
    assert missing_part(workload) == case["missing"]


@pytest.mark.parametrize(
    ("conditions", "missing"),
    [
        ([], "is not taken over by its operator"),
        ([{"type": "Reconciled", "status": "True", "observedGeneration": 2}], ""),
        (
            [{"type": "Reconciled", "status": "True", "observedGeneration": 1}],
            "is not taken over by its operator",
        ),
        (
            [{"type": "Reconciled", "status": "False", "observedGeneration": 2}],
            "is not taken over by its operator",
        ),
        (
            [{"type": "Available", "status": "True", "observedGeneration": 2}],
            "is not taken over by its operator",
        ),
    ],
)
def test_what_an_operator_makes_is_there_when_it_says_so(conditions: list[Any], missing: str) -> None:
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "metadata": {"generation": 2},
        "status": {"conditions": conditions},
    }
    assert missing_part(resource) == missing


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("deployment/hub", "/apis/apps/v1/namespaces/jupyterhub/deployments/hub"),
        ("prometheus/main", "/apis/monitoring.coreos.com/v1/namespaces/jupyterhub/prometheuses/main"),
    ],
)
def test_workload_is_found_by_kind_and_name(name: str, path: str) -> None:
    assert workload_path("jupyterhub", name) == path


@pytest.mark.parametrize("name", ["hub", "pod/hub", "deployment/"])
def test_other_kinds_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        workload_path("jupyterhub", name)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            {"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "not on the node"}}},
            "container hub waits: ErrImageNeverPull not on the node; 0 restarts",
        ),
        (
            {
                "state": {
                    "waiting": {
                        "reason": "ImagePullBackOff",
                        "message": "ErrImagePull: r.example/a: 401 Unauthorized",
                    }
                }
            },
            "container hub waits: ImagePullBackOff ErrImagePull: r.example/a: 401 Unauthorized; 0 restarts",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
                "restartCount": 3,
            },
            "container hub waits: CrashLoopBackOff; before that it ended with 1 (Error); 3 restarts",
        ),
        ({"state": {"running": {}}, "ready": False}, "container hub runs and is not ready; 0 restarts"),
    ],
)
def test_container_is_described_in_one_line(state: dict[str, Any], sentence: str) -> None:
    assert describe_container({"name": "hub", **state}) == sentence


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("0/2 nodes are available: 2 Insufficient memory.", "as much left as the pods request"),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.", "have taints"),
        ("0/1 nodes are available: 1 node(s) were unschedulable.", "are cordoned"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", "has the labels"),
        ('0/1 nodes are available: persistentvolumeclaim "db" is being deleted.', "is being deleted"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "does not exist"),
        ('pods "hub-1" is forbidden: exceeded quota: small, requested: memory=1Gi', "ResourceQuota"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot', "security rule"),
        ('container hub waits: CreateContainerConfigError secret "hub" not found', "Secret or ConfigMap"),
        ("container hub waits: ErrImageNeverPull not present", "playbooks/images.yml"),
        ("container hub waits: ImagePullBackOff ErrImagePull: a/b:1: not found", "is its name right"),
        (
            'container model waits: ImagePullBackOff Back-off pulling image "metalworks.local/model:1-2": '
            'ErrImagePull: failed to pull and unpack image "metalworks.local/model:1-2"',
            "playbooks/images.yml",
        ),
        ("container hub waits: ImagePullBackOff a: 401 Unauthorized", "refuses the login"),
        ("waits: CrashLoopBackOff; before that it ended with 137 (OOMKilled)", "OOM killer"),
        ("container hub waits: CrashLoopBackOff back-off 10s; 3 restarts", "its last log lines say why"),
        ("event Pod/hub-1: Unhealthy: Readiness probe failed: 503", "does not answer its probe"),
        ("event Pod/hub-1: FailedMount: MountVolume.SetUp failed for volume", "cannot be mounted"),
        ("container hub runs and is not ready; 0 restarts", ""),
    ],
)
def test_likely_cause(line: str, meaning: str) -> None:
    found = likely_cause(["pod hub-1 on no node: Pending", line])
    assert meaning in found
    assert bool(found) == bool(meaning)
