"""Thousands of requests, while servers are replaced, added, taken away, and lost with their node."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from tests.support.models import (
    MODEL,
    NAMESPACE,
    SCENARIO,
    Asker,
    newest_job,
    operate,
    pods,
    ready,
    replace_all,
    until_three_are_ready,
)
from tests.support.scenario import CLUSTER_STATE, converge_again
from tests.support.waiting import wait_for

from kubernetes import client

REQUESTS = 10_000
AGENT = "agent-1"
ENTRY: dict[str, Any] = yaml.safe_load((SCENARIO / "vars.yml").read_text())["model_models"][0]

Change = Callable[..., None]


@pytest.fixture
def change() -> Iterator[Change]:
    """Converge with other values in the entry of the model; afterwards it is as before."""
    yield lambda **values: converge_again(SCENARIO, "cluster.yml", model_models=[ENTRY | values]).check()
    converge_again(SCENARIO, "cluster.yml").check()


def scale(api: client.ApiClient, core: client.CoreV1Api, servers: int) -> None:
    """Scale by hand. The autoscaler would go back to its own least number, so that is changed as well."""
    scaler = {"spec": {"minReplicas": servers}}
    client.AutoscalingV2Api(api).patch_namespaced_horizontal_pod_autoscaler(MODEL, NAMESPACE, scaler)
    client.AppsV1Api(api).patch_namespaced_deployment_scale(MODEL, NAMESPACE, {"spec": {"replicas": servers}})
    wait_for(lambda: len(ready(core)) == len(pods(core)) == servers, f"there are not {servers} servers", 300)


@pytest.mark.long
def test_none_of_ten_thousand_requests_fails_while_servers_are_replaced_added_and_taken_away(
    api: client.ApiClient, core: client.CoreV1Api, asker: Asker
) -> None:
    until_three_are_ready(core)
    with asker.load(REQUESTS) as found:
        replace_all(api, core)
        scale(api, core, 5)
        scale(api, core, 3)
        replace_all(api, core)
    assert not found["failures"], "\n".join(found["failures"])
    assert sum(found["seen"].values()) >= REQUESTS


@pytest.mark.long
def test_the_same_without_the_drain_fails(
    api: client.ApiClient, core: client.CoreV1Api, doomed_asker: Asker
) -> None:
    until_three_are_ready(core)
    apps = client.AppsV1Api(api)
    before = apps.read_namespaced_deployment(MODEL, NAMESPACE).spec.template
    abrupt = {
        "name": "server",
        "lifecycle": None,
        "env": [{"name": f"METALWORKS_MODEL_{name}", "value": "0"} for name in ("LINGER", "GRACE")],
    }
    patch = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 0, "containers": [abrupt]}}}}
    try:
        apps.patch_namespaced_deployment(MODEL, NAMESPACE, patch)
        replace_all(api, core)
        with doomed_asker.load() as found:
            for _ in range(3):
                replace_all(api, core)
    finally:
        whole = apps.read_namespaced_deployment(MODEL, NAMESPACE)
        whole.spec.template = before
        apps.replace_namespaced_deployment(MODEL, NAMESPACE, whole)
        replace_all(api, core)
    assert found["failures"], f"none of {sum(found['seen'].values())} requests failed"


@pytest.mark.long
def test_load_adds_servers_and_quiet_takes_them_away_and_no_request_fails(
    api: client.ApiClient, core: client.CoreV1Api, asker: Asker, change: Change
) -> None:
    until_three_are_ready(core)
    # What three servers take of a computer with two cores for these requests is above this.
    change(scale_above="60m")
    with asker.load(REQUESTS) as found:
        wait_for(lambda: len(ready(core)) == 5, lambda: f"{_measured(api)}", 300)
    assert not found["failures"], "\n".join(found["failures"])
    assert sum(found["seen"].values()) >= REQUESTS
    # Five minutes of quiet are the autoscaler's default.
    with asker.load() as found:
        change()
        wait_for(lambda: len(ready(core)) == len(pods(core)) == 3, lambda: f"{_measured(api)}", 600)
    assert not found["failures"], "\n".join(found["failures"])


def _measured(api: client.ApiClient) -> str:
    scaler = client.AutoscalingV2Api(api).read_namespaced_horizontal_pod_autoscaler(MODEL, NAMESPACE)
    return (
        f"the autoscaler has seen {scaler.status.current_metrics}, and wants {scaler.status.desired_replicas}"
    )


def elsewhere(core: client.CoreV1Api) -> set[str]:
    """The servers on the node that is left."""
    return {pod.metadata.name for pod in pods(core) if pod.spec.node_name != AGENT}


@pytest.mark.long
def test_a_node_that_is_lost_takes_its_servers_and_no_others(
    core: client.CoreV1Api, asker: Asker, capsys: pytest.CaptureFixture[str]
) -> None:
    # Where the test before has failed, the autoscaler needs five minutes to take away what it added.
    until_three_are_ready(core, 600)
    on = {pod.metadata.name: pod.spec.node_name for pod in pods(core)}
    assert AGENT in on.values() and set(on.values()) != {AGENT}
    machine = f"{CLUSTER_STATE.name}-{AGENT}"

    def away() -> bool:
        node = core.read_node(AGENT)
        return any(each.type == "Ready" and each.status != "True" for each in node.status.conditions)

    began = time.monotonic()
    subprocess.run(["docker", "stop", "--time=1", machine], check=True, capture_output=True)
    try:
        wait_for(away, "the node is not missed", 120)
        missed = time.monotonic() - began
        # Its servers take no requests any more; the others do, at once and always.
        time.sleep(5)
        with asker.load(1000) as found:
            time.sleep(10)
        assert not found["failures"], "\n".join(found["failures"])
        survivors = [name for name, node in on.items() if node != AGENT]
        assert set(survivors) <= set(ready(core))
        # Kubernetes waits five minutes before it makes pods anew elsewhere. A new server fetches its model.
        # Where the registry or the store is lost with the node, it waits for them.
        needed = [
            pod.spec.node_name
            for namespace in ("mlflow", "object-store")
            for pod in core.list_namespaced_pod(namespace).items
        ]
        at_least = len(survivors) if AGENT in needed else 3
        wait_for(
            lambda: len(elsewhere(core)) == 3 and len(elsewhere(core) & set(ready(core))) >= at_least,
            lambda: f"on the node that is left: {elsewhere(core)}, ready: {ready(core)}",
            600,
        )
        back = time.monotonic() - began
    finally:
        subprocess.run(["docker", "start", machine], check=True, capture_output=True)
        wait_for(lambda: not away(), "the node does not come back", 240)
    with capsys.disabled():
        print(f"\nmissed after {missed:.0f} s, {at_least} servers ran elsewhere after {back:.0f} s")
    until_three_are_ready(core, 600)


@pytest.mark.long
def test_a_training_is_shared_by_the_pods_of_its_job(
    api: client.ApiClient, core: client.CoreV1Api, change: Change
) -> None:
    # Another regularisation, so that the fit of before cannot be updated by a day.
    entry = ENTRY | {"training_workers": 2, "settings": ENTRY["settings"] | {"regularisation": 101}}
    change(**entry)
    operate("retrain", model_models=[entry]).check()
    newest = newest_job(api, f"{MODEL}-train")
    assert (newest.spec.completions, newest.status.succeeded) == (3, 1)
    first = f"job-name={newest.metadata.name},batch.kubernetes.io/job-completion-index=0"
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=first).items
    assert "anew on 2 workers" in core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE)
