"""When a workload is rolled out, and what is said while it is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.rollout import (
    describe_container,
    hopeless,
    missing_part,
    workload_path,
)
from in_process import cases


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


def test_workload_is_found_by_kind_and_name() -> None:
    assert (
        workload_path("jupyterhub", "deployment/hub") == "/apis/apps/v1/namespaces/jupyterhub/deployments/hub"
    )


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
            "container hub waits: ImagePullBackOff ErrImagePull: r.example/a: 401 Unauthorized "
            "(likely cause: the registry refuses the login, or got none: see k3s_registries and "
            "metalworks_registry); 0 restarts",
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


@pytest.mark.parametrize(("waited", "ends"), [(1, False), (60, True)])
def test_a_refused_pull_may_have_been_too_early(waited: float, ends: bool) -> None:
    message = 'failed to pull image "a.example/b:1": authorization failed: no basic auth credentials'
    waiting = {"name": "hub", "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}}

    class Api:
        def find(self, path: str) -> dict[str, Any]:
            return {"spec": {"selector": {"matchLabels": {"app": "hub"}}}}

        def get(self, path: str, **query: str) -> dict[str, Any]:
            return {"items": [{"metadata": {"name": "hub-1"}, "status": {"containerStatuses": [waiting]}}]}

    assert hopeless(Api(), "jh", ["deployment/hub"], waited) is ends  # type: ignore[arg-type]
