"""Models in the cluster: what they answer, what a request does not notice, and how versions are changed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from tests.support.models import (
    MODEL,
    NAMESPACE,
    SCENARIO,
    Asker,
    asking_pod,
    newest_job,
    operate,
    pods,
    ready,
    replace_all,
    served,
    until_three_are_ready,
)
from tests.support.pods import run_in_pod
from tests.support.scenario import CONTEXT, KUBECONFIG, converge_again
from tests.support.waiting import wait_for

from kubernetes import client

INFER = f"/v2/models/{MODEL}/infer"


def infer(user: str, **more: Any) -> dict[str, Any]:
    tensor = {"name": "user", "shape": [1], "datatype": "BYTES", "data": [user]}
    return {"inputs": [{**tensor, **more}]}


def restarts(core: client.CoreV1Api) -> dict[str, int]:
    return {pod.metadata.uid: pod.status.container_statuses[0].restart_count for pod in pods(core)}


# Answers.


def test_a_known_user_gets_what_he_may_like_with_reasons(asker: Asker, user: str) -> None:
    status, found = asker.ask(f"/recommend?user={user}&count=7")
    assert status == 200
    assert (found["model_name"], found["known"], len(found["items"])) == (MODEL, True, 7)
    assert found["model_version"].isdigit()
    assert found["items"][0]["because"]
    _, history = asker.ask(f"/history?user={user}")
    owned = {each["item"] for each in history["items"]}
    assert not owned & {each["item"] for each in found["items"]}
    _, again = asker.ask(f"/recommend?user={user}&count=7&task=again")
    assert owned & {each["item"] for each in again["items"]}


def test_a_basket_of_a_stranger_is_answered(asker: Asker, user: str) -> None:
    _, history = asker.ask(f"/history?user={user}")
    basket = [each["item"] for each in history["items"]][:2]
    status, found = asker.ask("/recommend", {"basket": [*basket, "no-such-item"], "count": 3})
    assert (status, found["known"], found["unknown_items"]) == (200, True, ["no-such-item"])


def test_the_open_inference_protocol_gives_the_same(asker: Asker, user: str) -> None:
    _, found = asker.ask(f"/recommend?user={user}&count=5")
    status, answer = asker.ask(INFER, {**infer(user), "parameters": {"count": 5}})
    assert status == 200
    assert (answer["model_name"], answer["model_version"]) == (MODEL, found["model_version"])
    outputs = {each["name"]: each["data"] for each in answer["outputs"]}
    assert outputs["item"] == [each["item"] for each in found["items"]]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/recommend", None, "either a user or a basket"),
        ("/recommend?user=1&count=0", None, "count has to be a whole number from 1 to 100"),
        ("/recommend?user=1&task=guess", None, "task has to be new or again"),
        ("/recommend?user=1&color=red", None, "color"),
        ("/recommend", "{", "the body does not fit"),
        (INFER, {"inputs": []}, "input"),
        (INFER, infer("1", datatype="FP32"), "the input user has to be BYTES, and not FP32"),
        (INFER, infer("1", shape=[2]), "the input user has 1 elements, and its shape says 2"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(
    asker: Asker, path: str, body: Any, says: str
) -> None:
    status, answer = asker.ask(path, body)
    assert (status, answer["model_name"]) == (400, MODEL)
    assert says in answer["error"]


def test_measurements_are_by_version(asker: Asker) -> None:
    _, page = asker.ask("/metrics")
    assert re.search(r'metalworks_model_\w+\{[^}]*version="\d+"', page)


# What a request does not notice.


def test_no_request_fails_while_all_servers_are_replaced(
    api: client.ApiClient, core: client.CoreV1Api, asker: Asker
) -> None:
    until_three_are_ready(core)
    with asker.load() as found:
        replace_all(api, core)
        until_three_are_ready(core)
        time.sleep(5)
    assert found["failures"] == []
    assert sum(found["seen"].values()) > 1000


def test_a_killed_server_is_replaced_while_the_others_answer(core: client.CoreV1Api, asker: Asker) -> None:
    until_three_are_ready(core)
    (victim, *_) = pods(core)
    with asker.load() as found:
        time.sleep(2)
        core.delete_namespaced_pod(victim.metadata.name, NAMESPACE, grace_period_seconds=0)
        began = time.time()
        wait_for(lambda: victim.metadata.name not in ready(core), "the pod does not end")
        until_three_are_ready(core)
        time.sleep(3)
    # What was on its way to it is lost. Afterwards nothing is.
    late = [each for each in found["failures"] if float(each.split()[0]) > began + 5]
    assert late == []
    assert len(found["failures"]) < 50
    assert sum(found["seen"].values()) > 200


def test_it_goes_on_without_registry_and_store_also_after_a_restart(
    api: client.ApiClient, core: client.CoreV1Api, asker: Asker
) -> None:
    until_three_are_ready(core)
    apps = client.AppsV1Api(api)
    back_ends = (("mlflow", "mlflow"), ("object-store", "object-store"))

    def scale(replicas: int) -> None:
        for name, namespace in back_ends:
            apps.patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": replicas}})

    def gone() -> bool:
        return not any(core.list_namespaced_pod(namespace).items for _, namespace in back_ends)

    name = ready(core)[0]
    scale(0)
    try:
        wait_for(gone, "the registry and the store do not end", 120)
        with asker.load() as found:
            run_in_pod(core, NAMESPACE, name, "python3", "-c", "import os; os.kill(1, 15)")

            def is_back() -> bool:
                (status,) = core.read_namespaced_pod(name, NAMESPACE).status.container_statuses
                return bool(status.restart_count and status.ready)

            wait_for(is_back, "the server does not come back from its cache", 120)
            time.sleep(3)
        # Nobody told the other nodes before the process ended by itself.
        assert len(found["failures"]) < 50
        assert sum(found["seen"].values()) > 200
    finally:
        scale(1)
    wait_for(
        lambda: all(
            any(
                each.ready
                for pod in core.list_namespaced_pod(ns).items
                for each in pod.status.container_statuses or ()
            )
            for _, ns in back_ends
        ),
        "the registry and the store do not come back",
        300,
    )


# Versions.


def test_a_version_is_promoted_and_taken_back_on_every_replica_without_a_restart(
    core: client.CoreV1Api, asker: Asker
) -> None:
    until_three_are_ready(core)
    # What was sold in other tests is new, and so is yesterday after midnight.
    operate("retrain").check()
    (first,) = served(asker, core)
    before = restarts(core)
    operate("retrain").check()
    assert served(asker, core) == {first}, "the gate lets the same data through"

    with asker.load() as found:
        promoted = operate("promote", model_reason="a test").check()
        (second,) = served(asker, core)
        assert int(second) > int(first)
        assert f"version {second} on 3 replicas" in promoted.said
        assert operate("promote").check().changed_nothing
        assert f"version {first} on 3 replicas" in operate("rollback").check().said
        assert served(asker, core) == {first}
    assert found["failures"] == []
    assert set(found["seen"]) == {first, second}
    assert restarts(core) == before
    assert "was the first champion" in operate("rollback").said


def test_a_pinned_version_is_served_whatever_the_champion_is(core: client.CoreV1Api, asker: Asker) -> None:
    (first,) = served(asker, core)
    pinned = str(int(first) + 1)
    try:
        before = {pod.metadata.uid for pod in pods(core)}
        converge_again(SCENARIO, "cluster.yml", model_version=pinned)
        wait_for(
            lambda: not before & {pod.metadata.uid for pod in pods(core)}, "the servers are not replaced", 300
        )
        until_three_are_ready(core)
        assert served(asker, core) == {pinned}
        assert f"the inventory pins version {pinned}" in operate("promote", model_version=pinned).said
    finally:
        converge_again(SCENARIO, "cluster.yml")
    until_three_are_ready(core)
    wait_for(lambda: served(asker, core) == {first}, "the champion is not served again", 120)


# The shop, whose sales are data.


def test_what_the_shop_sells_is_ingested(api: client.ApiClient, core: client.CoreV1Api, user: str) -> None:
    cluster = KubernetesApi(str(KUBECONFIG), CONTEXT)
    with forwarded(cluster, NAMESPACE, "app.kubernetes.io/name=shop", 8081) as address:
        page = requests.get(f"http://{address}/customers/{user}", timeout=30)
        assert page.status_code == 200, page.text
        item = re.search(r'name="item" value="(\w+)"', page.text)
        assert item, page.text
        form = {"kind": "bought", "item": item[1], "text": "A THING"}
        assert requests.post(f"http://{address}/customers/{user}", data=form, timeout=30).status_code == 200
        day = datetime.now(UTC).date()
        rows = requests.get(f"http://{address}/invoices/{day}.csv", timeout=30).text
    assert item[1] in rows
    said = operate("retrain").check().said
    assert "ingest-shop" in said
    # Another test may have had one run before.
    job = newest_job(api, "ingest-shop-now")
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={job.metadata.name}").items
    assert re.search(
        rf"{day}: \w+, [1-9]\d* rows", core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE)
    )


# Rights.


def test_all_pods_have_the_least_rights(core: client.CoreV1Api) -> None:
    found = core.list_namespaced_pod(NAMESPACE).items
    assert {"shop", MODEL, f"{MODEL}-watch", "ingest-invoices", "model-train"} <= {
        pod.metadata.labels["app.kubernetes.io/name"] for pod in found
    }
    label = core.read_namespace(NAMESPACE).metadata.labels["pod-security.kubernetes.io/enforce"]
    assert label == "restricted"
    for pod in found:
        (container,) = pod.spec.containers
        assert pod.spec.automount_service_account_token is (container.name == "watch")
        assert container.security_context.read_only_root_filesystem
        assert container.resources.requests["cpu"] and container.resources.limits["memory"]
    (name, *_) = ready(core)
    token = run_in_pod(core, NAMESPACE, name, "cat", "/etc/model/token")
    shown = str(found) + core.read_namespaced_pod_log(name, NAMESPACE)
    assert len(token) == 40 and token not in shown


def test_servers_decide_nothing_in_the_registry(core: client.CoreV1Api) -> None:
    script = """
import urllib.request, json
body = json.dumps({"name": "recommender", "alias": "champion", "version": "1"}).encode()
request = urllib.request.Request("http://mlflow.mlflow.svc.cluster.local:5000/api/2.0/mlflow/registered-models/alias",
    body, {"Authorization": "Bearer " + open("/etc/model/token").read(), "Content-Type": "application/json"})
try: print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as refused: print(refused.code)
"""
    assert run_in_pod(core, NAMESPACE, ready(core)[0], "python3", "-c", script).strip() == "403"


CONNECT = """
import socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=8).close(); print("open")
except OSError: print("closed")
"""


def test_only_those_are_let_in_and_out_who_need_it(core: client.CoreV1Api, asker: Asker) -> None:
    stranger = asking_pod(core, "people", {"asks": "for-nothing"})
    server = ready(core)[0]
    store = ("object-store.object-store.svc.cluster.local", "7070")
    outcomes = [
        run_in_pod(core, namespace, name, "python3", "-c", CONNECT, *to).strip()
        for namespace, name, to in (
            ("people", asker.name, (f"{MODEL}.{NAMESPACE}", "8080")),
            ("people", stranger.name, (f"{MODEL}.{NAMESPACE}", "8080")),
            ("people", asker.name, (f"shop.{NAMESPACE}", "8081")),
            (NAMESPACE, server, ("mlflow.mlflow", "5000")),
            (NAMESPACE, server, store),
            (NAMESPACE, server, ("kubernetes.default", "443")),
        )
    ]
    assert outcomes == ["open", "closed", "closed", "open", "closed", "closed"]


def test_daily_runs_do_not_overlap_and_load_adds_servers(api: client.ApiClient) -> None:
    jobs = {
        each.metadata.name: each.spec
        for each in client.BatchV1Api(api).list_namespaced_cron_job(NAMESPACE).items
    }
    assert set(jobs) == {"ingest-invoices", "ingest-shop", f"{MODEL}-train"}
    for spec in jobs.values():
        assert spec.concurrency_policy == "Forbid"
        assert spec.job_template.spec.active_deadline_seconds and spec.starting_deadline_seconds
    (scaler,) = client.AutoscalingV2Api(api).list_namespaced_horizontal_pod_autoscaler(NAMESPACE).items
    assert (scaler.spec.min_replicas, scaler.spec.max_replicas) == (3, 5)
    wait_for(
        lambda: any(
            each.type == "ScalingActive" and each.status == "True"
            for each in client.AutoscalingV2Api(api)
            .read_namespaced_horizontal_pod_autoscaler(MODEL, NAMESPACE)
            .status.conditions
            or []
        ),
        "the autoscaler measures nothing",
        180,
    )


def test_a_second_run_changes_nothing() -> None:
    assert converge_again(SCENARIO, "cluster.yml").changed_nothing
