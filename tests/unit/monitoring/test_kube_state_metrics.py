"""The stand-in for kube-state-metrics serves what the rules ask for, of objects as the API gives them."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring.parts import collectors, kept
from tests.support.modules import ROOT

PATH = ROOT / "lab" / "images" / "kube_state_metrics" / "kube_state_metrics.py"
spec = importlib.util.spec_from_file_location("kube_state_metrics", PATH)
assert spec and spec.loader
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

META = {"namespace": "web", "name": "a", "uid": "u"}
CONTAINER = {"name": "c", "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1Gi"}}}
STATUS = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
    "containerStatuses": [
        {
            "name": "c",
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"reason": "OOMKilled"}},
        }
    ],
}
OBJECTS: dict[str, dict[str, Any]] = {
    "daemonsets": {"metadata": META, "status": {"desiredNumberScheduled": 2, "numberAvailable": 1}},
    "deployments": {"metadata": META, "spec": {"replicas": 2}, "status": {"availableReplicas": 1}},
    "horizontalpodautoscalers": {
        "metadata": META,
        "spec": {"minReplicas": 3, "maxReplicas": 5},
        "status": {"currentReplicas": 4},
    },
    "jobs": {"metadata": META, "status": {"conditions": [{"type": "Failed", "status": "True"}]}},
    "nodes": {
        "metadata": {"name": "one"},
        "status": {
            "allocatable": {"cpu": "2", "memory": "1024Ki", "hugepages-2Mi": "0"},
            "conditions": [{"type": "Ready", "status": "Unknown"}],
        },
    },
    "persistentvolumeclaims": {
        "metadata": META,
        "spec": {"resources": {"requests": {"storage": "2Gi"}}},
    },
    "pods": {
        "metadata": {**META, "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "one", "containers": [CONTAINER]},
        "status": STATUS,
    },
    "statefulsets": {"metadata": META, "spec": {"replicas": 1}, "status": {}},
}


def samples(kind: str) -> list[tuple[str, dict[str, str], float]]:
    return list(program.SAMPLES[kind](OBJECTS[kind]))


def value(kind: str, name: str, **labels: str) -> float:
    [found] = [
        number for called, told, number in samples(kind) if called == name and labels.items() <= told.items()
    ]
    return found


def test_it_serves_what_is_asked_for_and_nothing_else() -> None:
    assert sorted({name for kind in OBJECTS for name, _, _ in samples(kind)}) == sorted(kept("kube_state"))
    assert sorted(program.PATHS) == sorted(program.SAMPLES) == collectors("kube_state")


@pytest.mark.parametrize(
    ("condition", "there"),
    [
        ({"status": "False", "reason": "Unschedulable"}, True),
        ({"status": "False", "reason": "SchedulingGated"}, True),
        ({"status": "True"}, False),
    ],
)
def test_a_pod_is_unschedulable_for_whatever_reason(condition: dict[str, str], there: bool) -> None:
    status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", **condition}]}
    found = program.SAMPLES["pods"]({**OBJECTS["pods"], "status": status})
    assert ("kube_pod_status_unschedulable" in {name for name, _, _ in found}) is there


def test_quantities_are_numbers_of_the_unit() -> None:
    assert value("nodes", "kube_node_status_allocatable", resource="memory", unit="byte") == 1024**2
    assert value("pods", "kube_pod_container_resource_requests", resource="cpu", unit="core") == 0.05
    claimed = "kube_persistentvolumeclaim_resource_requests_storage_bytes"
    assert value("persistentvolumeclaims", claimed, persistentvolumeclaim="a") == 2 * 1024**3
    with pytest.raises(ValueError, match="no quantity"):
        program.quantity("much")


def test_a_state_has_one_series_for_each_answer() -> None:
    told = {status: value("nodes", "kube_node_status_condition", status=status) for status in program.STATES}
    assert told == {"true": 0, "false": 0, "unknown": 1}
    assert value("pods", "kube_pod_status_phase", phase="Pending") == 1
    assert value("pods", "kube_pod_status_phase", phase="Running") == 0


def test_a_reason_is_told_while_there_is_one() -> None:
    assert value("pods", "kube_pod_container_status_waiting_reason", reason="CrashLoopBackOff") == 1
    assert value("pods", "kube_pod_status_unschedulable") == 1
    well = {
        **OBJECTS["pods"],
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 0}]},
    }
    assert not [name for name, _, _ in program.of_pod(well) if "reason" in name or "unschedulable" in name]


def test_samples_are_written_by_name_with_their_labels_escaped() -> None:
    found = [("a_total", {"x": 'say "hi"'}, 3), ("b", {}, 0.5), ("a_total", {"x": "y"}, 1)]
    assert program.written(iter(found)).splitlines() == [
        "# TYPE a_total counter",
        r'a_total{x="say \"hi\""} 3.0',
        'a_total{x="y"} 1.0',
        "# TYPE b gauge",
        "b{} 0.5",
    ]
