"""Faults that are caused on purpose reach the receiver in time, and so does their end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import testinfra
from tests.support.queries import rules, seconds
from tests.support.scenario import CLUSTER_STATE, INVENTORIES, kubectl
from tests.support.waiting import wait_for
from tests.support.watchers import NAMESPACE, Watchers

from kubernetes import client

testinfra_hosts = ["ansible://k3s_server"]
pytestmark = pytest.mark.long

FAULTS = "faults"
# From the fault until the receiver is told, beyond the time that the rule itself waits.
DELAY = 30
# From the end of a fault until the receiver is told: a scrape, an evaluation, and the interval of a group.
END_DELAY = 90
RULES = {rule["alert"]: rule for rule in rules("monitoring")}
STUCK_AFTER = 600  # the rule's own condition
DATA = "/var/lib/rancher/k3s"
# What the watchdog's alert is still valid for, when Prometheus is gone: four times its interval of resending.
LAST_WATCHDOG = 330


def waits(alert: str) -> int:
    """How long a rule's condition has to hold."""
    return seconds(RULES[alert].get("for", "0s"))


def first_told(watchers: Watchers, alert: str, status: str, since: float, **labels: str) -> float | None:
    """When the receiver was first told of an alert since some time."""
    times = [
        each["at"]
        for each in watchers.told()
        if each["status"] == status
        and each["at"] >= since
        and {"alertname": alert, **labels}.items() <= each["labels"].items()
    ]
    return min(times, default=None)


@pytest.fixture
def said(record_property: Callable[[str, object], None], watchers: Watchers) -> Callable[..., None]:
    """Waits for the message about a fault, or about its end, and holds it to its time."""

    def wait(alert: str, since: float, status: str = "firing", **labels: str) -> None:
        most = waits(alert) + DELAY if status == "firing" else END_DELAY
        query = f'ALERTS{{alertname="{alert}"}}'
        at = wait_for(
            lambda: first_told(watchers, alert, status, since, **labels),
            lambda: f"{alert} was not told as {status}: {watchers.result(query)}",
            seconds=max(1, since + most + 60 - time.time()),
            every=1,
        )
        record_property(f"{alert}_{status}_seconds", round(at - since, 1))
        assert at - since <= most, f"{alert} was told as {status} after {at - since:.0f} s"

    return wait


def machine(name: str) -> Any:
    return testinfra.get_host(f"ansible://{name}", ansible_inventory=str(INVENTORIES / "cluster.yml"))


def container(core: client.CoreV1Api, script: str, **more: Any) -> dict[str, Any]:
    """A container that runs a script, of an image that is there."""
    [receiver] = core.list_namespaced_pod(NAMESPACE, label_selector="app=receiver").items
    return {
        "name": "c",
        "image": receiver.spec.containers[0].image,
        "command": ["sh", "-c", script],
        **more,
    }


@pytest.fixture(scope="module", autouse=True)
def namespace(core: client.CoreV1Api) -> Iterator[None]:
    """A namespace of the faults, gone afterwards with all of them."""
    core.create_namespace({"metadata": {"name": FAULTS}})
    yield
    core.delete_namespace(FAULTS)


def restarted(core: client.CoreV1Api, name: str) -> float | None:
    """When a pod's container was started again."""
    for status in core.read_namespaced_pod(name, FAULTS).status.container_statuses or []:
        if status.restart_count and status.last_state.terminated:
            return float(status.last_state.terminated.finished_at.timestamp())
    return None


def test_a_pod_that_wants_too_much_memory_is_told(core: client.CoreV1Api, said: Any) -> None:
    script = "sleep 45; exec python3 -c 'bytearray(10**9)'"
    greedy = container(core, script, resources={"limits": {"memory": "48Mi"}})
    core.create_namespaced_pod(FAULTS, {"metadata": {"name": "greedy"}, "spec": {"containers": [greedy]}})
    at = wait_for(lambda: restarted(core, "greedy"), "the pod is not ended for its memory", 120)
    said("PodOutOfMemory", at, pod="greedy")
    gone = time.time()
    core.delete_namespaced_pod("greedy", FAULTS, grace_period_seconds=0)
    said("PodOutOfMemory", gone, "resolved", pod="greedy")


def test_a_full_home_is_told(core: client.CoreV1Api, said: Any) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    core.create_namespaced_persistent_volume_claim(FAULTS, {"metadata": {"name": "home"}, "spec": claim})
    mount = [{"name": "home", "mountPath": "/home/ada"}]
    fills = container(
        core, "head -c 16000000 /dev/urandom > /home/ada/data; sync; sleep 600", volumeMounts=mount
    )
    volume = {"name": "home", "persistentVolumeClaim": {"claimName": "home"}}
    spec = {
        "containers": [fills],
        "volumes": [volume],
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 0},
    }
    core.create_namespaced_pod(FAULTS, {"metadata": {"name": "ada"}, "spec": spec})

    full = f"sudo du --summarize --block-size=1 --total {DATA}/storage/pvc-*_{FAULTS}_home | tail --lines 1"

    def is_full() -> bool:
        said = (machine(name).run(full).stdout for name in ("server-1", "agent-1"))
        return any(float(text.split()[0]) > 15.1e6 for text in said if text)

    wait_for(is_full, "the home does not become full", 120)
    at = time.time()
    said("VolumeNearlyFull", at, persistentvolumeclaim="home", namespace=FAULTS)
    core.delete_namespaced_pod("ada", FAULTS, grace_period_seconds=0)
    core.delete_namespaced_persistent_volume_claim("home", FAULTS)
    said("VolumeNearlyFull", time.time(), "resolved", persistentvolumeclaim="home", namespace=FAULTS)


def test_a_certificate_that_runs_out_is_told(said: Any) -> None:
    host, path = machine("agent-1"), f"{DATA}/agent/fault.crt"
    kind = "-x509 -newkey rsa:2048 -nodes -subj /CN=fault -days 3"
    host.check_output(f"sudo openssl req {kind} -keyout /dev/null -out {path}")
    # What changes seldom is measured at the start, and every ten minutes.
    again = "sudo systemctl restart metalworks-measure.service"
    measured = host.file("/var/lib/metalworks/measurements/metalworks.prom")
    try:
        host.check_output(again)
        wait_for(lambda: "agent/fault.crt" in measured.content_string, "the certificate is not measured")
        at = time.time()
        said("CertificateNearlyExpired", at, file="agent/fault.crt")
    finally:
        host.check_output(f"sudo rm {path} && {again}")
    wait_for(lambda: "agent/fault.crt" not in measured.content_string, "the certificate is still measured")
    said("CertificateNearlyExpired", time.time(), "resolved", file="agent/fault.crt")


def test_a_node_that_is_not_ready_is_told(host: Any, said: Any) -> None:
    """Only k3s has ended: the node exporter answers, so that the node is not down."""
    agent = machine("agent-1")
    agent.check_output("sudo systemctl stop k3s-agent")

    def since() -> float | None:
        conditions = kubectl(host, "get node agent-1")["status"]["conditions"]
        [ready] = [each for each in conditions if each["type"] == "Ready"]
        if ready["status"] == "True":
            return None
        return datetime.fromisoformat(ready["lastTransitionTime"].replace("Z", "+00:00")).timestamp()

    try:
        # Kubernetes itself waits 40 s and longer until it counts a silent node as not Ready.
        at = wait_for(since, "the node stays Ready", 120, every=1)
        said("NodeNotReady", at, node="agent-1")
    finally:
        agent.check_output("sudo systemctl start k3s-agent")
    wait_for(lambda: since() is None, "the node does not come back", 120, every=1)
    said("NodeNotReady", time.time(), "resolved", node="agent-1")


def test_a_node_that_stands_still_is_told(said: Any) -> None:
    """All of its programs are frozen at once, as in a machine that hangs."""
    agent = f"{CLUSTER_STATE.name}-agent-1"
    subprocess.run(["docker", "pause", agent], check=True, capture_output=True)
    at = time.time()
    try:
        said("NodeDown", at, node="agent-1")
    finally:
        subprocess.run(["docker", "unpause", agent], check=True, capture_output=True)
    said("NodeDown", time.time(), "resolved", node="agent-1")


def test_faults_that_have_to_last_are_told(core: client.CoreV1Api, watchers: Watchers, said: Any) -> None:
    """A pod that crashes, its Deployment that lacks it, and a pod that does not end: ten minutes each."""
    apps = client.AppsV1Api(core.api_client)
    labels = {"app": "crashes"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container(core, "exit 3")]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    apps.create_namespaced_deployment(FAULTS, {"metadata": {"name": "crashes"}, "spec": spec})
    lacks = time.time()
    stays = {"containers": [container(core, "sleep 9999")], "terminationGracePeriodSeconds": 0}
    stuck = {"name": "stuck", "finalizers": ["metalworks.example/never"]}
    core.create_namespaced_pod(FAULTS, {"metadata": stuck, "spec": stays})
    core.delete_namespaced_pod("stuck", FAULTS)
    ends = time.time()

    # What a new pod has done before Prometheus' first look at it is not counted, so the rule itself is asked.
    often = RULES["PodCrashLooping"]["expr"]
    try:
        wait_for(lambda: watchers.result(often), "the pod does not crash often", 240, every=1)
        crashes = time.time()
        said("WorkloadNotReady", lacks, deployment="crashes")
        said("PodCrashLooping", crashes)
        said("PodStuckTerminating", ends + STUCK_AFTER, pod="stuck")
    finally:
        core.patch_namespaced_pod("stuck", FAULTS, {"metadata": {"finalizers": None}})
        apps.delete_namespaced_deployment("crashes", FAULTS)
    gone = time.time()
    said("WorkloadNotReady", gone, "resolved", deployment="crashes")
    said("PodStuckTerminating", gone, "resolved", pod="stuck")


def test_an_api_server_that_is_away_is_told(host: Any, watchers: Watchers, said: Any) -> None:
    host.check_output("sudo systemctl stop k3s")
    at = time.time()
    # The way to the receiver leads through the API server, and what it was told stays there.
    time.sleep(waits("ApiServerDown") + DELAY + 5)
    host.check_output("sudo systemctl start k3s")
    back = time.time()
    watchers.forget()
    ready = "sudo k3s kubectl get --raw /readyz"
    wait_for(lambda: host.run(ready).stdout == "ok", "k3s does not come back", 120)
    said("ApiServerDown", at)
    said("ApiServerDown", back, "resolved")


def test_the_watchdog_is_silent_without_prometheus(host: Any, watchers: Watchers) -> None:
    """Who waits for it outside misses it, and knows that nobody watches any more."""
    of = f"--namespace {NAMESPACE}"

    def scale(pods: int) -> None:
        patch = f'--type merge --patch \'{{"spec":{{"replicas":{pods}}}}}\''
        host.check_output(f"sudo k3s kubectl {of} patch prometheus monitoring {patch}")

    def left() -> list[Any]:
        pods = kubectl(host, f"get pods {of} --selector app.kubernetes.io/name=prometheus")["items"]
        return [each["metadata"]["name"] for each in pods]

    scale(0)
    try:
        wait_for(lambda: not left(), "Prometheus is not stopped", 120)
        stopped = time.time()
        time.sleep(LAST_WATCHDOG)
        silent = len(watchers.told("/watchdog"))
        time.sleep(90)
        assert len(watchers.told("/watchdog")) == silent
        assert max(each["at"] for each in watchers.told("/watchdog")) - stopped < LAST_WATCHDOG
    finally:
        scale(1)
    wait_for(lambda: len(watchers.told("/watchdog")) > silent, "the watchdog does not come back", 180)
