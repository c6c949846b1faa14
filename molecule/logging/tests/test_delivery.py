"""100,000 numbered lines from four pods are found, whatever happens to collectors and store meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import testinfra
from tests.support.logs import NAMESPACE, counted, gone, numbered, phase, write
from tests.support.scenario import INVENTORIES, kubectl
from tests.support.waiting import wait_for

from kubernetes import client

testinfra_hosts = ["ansible://k3s_server"]
pytestmark = pytest.mark.long

PODS = [f"writer-{number}" for number in range(4)]
EACH = 25_000
ALL = EACH * len(PODS)
COLLECTORS = "app.kubernetes.io/name=victoria-logs-collector"
AWAY_SECONDS = 600
# A collector writes each minute how far it has read. What it had read by then and had not sent, which is a
# second's lines, is lost if it is killed in that second (docs/decisions/0014): not what is tried here.
KILL_BETWEEN_CHECKPOINTS = (
    "while age=$(( $(ps -o etimes= -C vlagent-prod) % 60 )); [ $age -lt 10 ] || [ $age -gt 50 ]; "
    "do sleep 1; done; pkill -KILL -x vlagent-prod"
)


@pytest.fixture
def mark(core: client.CoreV1Api) -> Iterator[str]:
    """A word that only this test's lines have; the pods are removed at the end."""
    yield f"run{uuid4().hex[:12]}"
    for pod in PODS:
        gone(core, pod)


def start(core: client.CoreV1Api, mark: str, **more: Any) -> None:
    for pod in PODS:
        write(core, pod, numbered(mark, EACH, **more))
    wait_for(lambda: counted(mark)[0] > 0, "no line arrives at all", 180, every=2)


def finish(core: client.CoreV1Api, mark: str, seconds: float = 300) -> tuple[int, int]:
    """Wait until all is written and found; return how many lines were found, and how many different ones."""
    wait_for(
        lambda: all(phase(core, pod) == "Succeeded" for pod in PODS), "a pod does not write all", 600, every=5
    )
    wait_for(
        lambda: counted(mark)[1] >= ALL,
        lambda: f"of {ALL} lines, {counted(mark)} (all, unique) are found",
        seconds,
        every=5,
    )
    return counted(mark)


def on_each_node(command: str) -> None:
    for host in testinfra.get_hosts(
        ["ansible://k3s_cluster"], ansible_inventory=str(INVENTORIES / "cluster.yml")
    ):
        with host.sudo():
            host.check_output(command)


def test_nothing_is_lost_or_doubled_when_collectors_are_stopped_and_started(
    core: client.CoreV1Api, mark: str
) -> None:
    start(core, mark)
    for pod in core.list_namespaced_pod(NAMESPACE, label_selector=COLLECTORS).items:
        core.delete_namespaced_pod(pod.metadata.name, NAMESPACE)
    assert finish(core, mark) == (ALL, ALL)


def test_nothing_is_lost_when_collectors_are_killed(
    core: client.CoreV1Api, mark: str, record_property: Callable[[str, object], None]
) -> None:
    start(core, mark, pause_every=125)
    on_each_node(KILL_BETWEEN_CHECKPOINTS)
    found, unique = finish(core, mark)
    record_property("doubled", found - ALL)
    assert unique == ALL, "a line came that nobody wrote"
    # What was read since the last checkpoint, which is written each minute, comes twice.
    assert found < 2 * ALL


def test_nothing_is_lost_while_the_store_is_away(host: Any, core: client.CoreV1Api, mark: str) -> None:
    """The collectors keep what they cannot send. A block whose answer was lost may come twice."""
    start(core, mark)
    scale = f"sudo k3s kubectl --namespace {NAMESPACE} scale deployment/logs --replicas="
    host.check_output(f"{scale}0")
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        host.check_output(f"{scale}1")
    wait_for(
        lambda: kubectl(host, f"get deployment/logs --namespace {NAMESPACE}")["status"].get("readyReplicas"),
        "the store does not come back",
        180,
    )
    _, unique = finish(core, mark, 600)
    assert unique == ALL


def test_nothing_is_lost_while_logs_rotate(host: Any, core: client.CoreV1Api, mark: str) -> None:
    """Lines of 5 KB fill a file twice over its 50 MiB, and the kubelet rotates it."""
    start(core, mark, padding=5000)
    found, unique = finish(core, mark, 600)
    assert (found, unique) == (ALL, ALL)
    rotated = 0
    for each in testinfra.get_hosts(
        ["ansible://k3s_cluster"], ansible_inventory=str(INVENTORIES / "cluster.yml")
    ):
        with each.sudo():
            rotated += len(each.check_output("ls /var/log/pods/writers_*/sh/").split("0.log.")) - 1
    assert rotated >= len(PODS), "nothing was rotated, so nothing was tested"
