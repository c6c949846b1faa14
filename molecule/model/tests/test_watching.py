"""What watches a model: its series, its rights, and the retraining that drift asks for."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from tests.support.models import MODEL, NAMESPACE, Asker, asking_pod, ready
from tests.support.pods import run_in_pod
from tests.support.queries import asked
from tests.support.waiting import wait_for

from kubernetes import client

WATCH = f"{MODEL}-watch"
PAGE = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
"""
# Asks Kubernetes by the pod's own account whether it may do each of some things.
MAY = """
import json, ssl, sys, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount"
url = "https://kubernetes.default.svc/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
context = ssl.create_default_context(cafile=f"{account}/ca.crt")
headers = {"Authorization": "Bearer " + open(f"{account}/token").read(), "Content-Type": "application/json"}
for attributes in json.loads(sys.argv[1]):
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
              "spec": {"resourceAttributes": attributes}}
    request = urllib.request.Request(url, json.dumps(review).encode(), headers)
    answer = json.load(urllib.request.urlopen(request, context=context, timeout=20))
    print("yes" if answer["status"]["allowed"] else "no")
"""
# Lets what the watch remembers be of the day before the newest one; the other values are given.
AGE = """
import datetime, json, fsspec, os, sys
files, root = fsspec.core.url_to_fs(os.environ["METALWORKS_MODEL_DATA_URL"])
path = f"{root.rstrip('/')}/watch/recommender.json"
state = json.loads(files.cat_file(path))
day = datetime.date.fromisoformat(state["day"]) - datetime.timedelta(1)
files.pipe_file(path, json.dumps({**state, "day": str(day), **json.loads(sys.argv[1])}).encode())
"""


@pytest.fixture
def watch(core: client.CoreV1Api) -> str:
    """The pod of the watch, which has looked at least once."""
    name = wait_for(lambda: watches(core), "no pod watches the model", 180)[0]
    since = "metalworks_model_watch_looked_timestamp_seconds"
    wait_for(lambda: value(page(core, name), since), "the watch has not looked", 180)
    return name


def watches(core: client.CoreV1Api) -> list[str]:
    """The names of the pods that watch the model and are ready."""
    return [
        pod.metadata.name
        for pod in core.list_namespaced_pod(NAMESPACE, label_selector=f"app.kubernetes.io/name={WATCH}").items
        if pod.metadata.deletion_timestamp is None
        and all(each.ready for each in pod.status.container_statuses or [])
    ]


def page(core: client.CoreV1Api, pod: str, port: int = 9090) -> str:
    """The measurements of a pod."""
    return run_in_pod(core, NAMESPACE, pod, "python3", "-c", PAGE, f"http://127.0.0.1:{port}/metrics")


def value(text: str, series: str) -> float:
    """The value of a series on a page; 0 if it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_watch_shows_drift_ages_and_quality(core: client.CoreV1Api, watch: str) -> None:
    text = page(core, watch)
    for series in ("item", "quantity", "unit_price", "country"):
        assert value(text, f'metalworks_model_drift_psi{{input="{series}"}}') > 0
    assert value(text, "metalworks_model_drift_bound") == 0.0001
    assert value(text, "metalworks_model_drift_rows") > 100
    for source in ("invoices", "shop"):
        until = value(text, f'metalworks_model_data_until_timestamp_seconds{{source="{source}"}}')
        assert 0 < time.time() - until < 3 * 86400
    assert re.search(r'^metalworks_model_train_ndcg\{task="new",version="\d+"\} 0\.\d+', text, re.MULTILINE)
    learnt = r'^metalworks_model_model_data_until_timestamp_seconds\{alias="champion",version="\d+"\} (\S+)$'
    found = re.search(learnt, text, re.MULTILINE)
    assert found and 0 < time.time() - float(found[1]) < 3 * 86400


def test_all_that_rules_and_dashboards_ask_of_the_models_is_measured(
    core: client.CoreV1Api, watch: str
) -> None:
    [shop] = core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=shop").items
    pages = page(core, watch) + page(core, ready(core)[0], 8080) + page(core, shop.metadata.name, 8081)
    measured = set(re.findall(r"^# TYPE (\w+) ", pages, re.MULTILINE))
    wanted = {re.sub("_bucket$", "", name) for name in asked("model") if name.startswith("metalworks_")}
    assert len(wanted) > 15
    assert wanted - measured == set()


def test_the_watch_may_start_the_training_and_nothing_else(core: client.CoreV1Api, watch: str) -> None:
    may = [
        {"verb": "get", "group": "batch", "resource": "cronjobs", "name": f"{MODEL}-train"},
        {"verb": "create", "group": "batch", "resource": "jobs"},
        {"verb": "get", "group": "batch", "resource": "cronjobs", "name": "ingest-shop"},
        {"verb": "list", "group": "batch", "resource": "cronjobs"},
        {"verb": "patch", "group": "batch", "resource": "cronjobs", "name": f"{MODEL}-train"},
        {"verb": "get", "group": "batch", "resource": "jobs"},
        {"verb": "delete", "group": "batch", "resource": "jobs"},
        {"verb": "get", "group": "", "resource": "secrets"},
        {"verb": "list", "group": "", "resource": "pods"},
        {"verb": "create", "group": "", "resource": "pods"},
        {"verb": "patch", "group": "apps", "resource": "deployments"},
    ]
    asked_for: list[dict[str, Any]] = [
        *({**each, "namespace": NAMESPACE} for each in may),
        {"verb": "create", "group": "batch", "resource": "jobs", "namespace": "default"},
    ]
    said = run_in_pod(core, NAMESPACE, watch, "python3", "-c", MAY, json.dumps(asked_for)).split()
    assert said == ["yes", "yes", *["no"] * 10]


CONNECT = """
import socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=8).close(); print("open")
except OSError: print("closed")
"""


def test_only_measurements_come_out_and_it_reaches_what_it_looks_at(
    core: client.CoreV1Api, watch: str, asker: Asker
) -> None:
    prometheus = asking_pod(core, "monitoring", {"asks": "measurements"})
    address = core.read_namespaced_pod(watch, NAMESPACE).status.pod_ip

    def outcome(namespace: str, name: str, host: str, port: int) -> str:
        return run_in_pod(core, namespace, name, "python3", "-c", CONNECT, host, str(port)).strip()

    # A policy lets a new pod in some seconds later.
    wait_for(
        lambda: outcome("monitoring", prometheus.name, address, 9090) == "open",
        "Prometheus does not reach the watch",
        60,
    )
    assert outcome("people", asker.name, address, 9090) == "closed"
    outcomes = {
        host: outcome(NAMESPACE, watch, host, port)
        for host, port in (
            ("mlflow.mlflow", 5000),
            ("object-store.object-store", 7070),
            ("shop", 8081),
            ("kubernetes.default", 443),
            (MODEL, 8080),
        )
    }
    assert list(outcomes.values()) == ["open"] * 5, outcomes


def test_drift_has_one_training_done_and_then_the_cool_down_holds(
    api: client.ApiClient, core: client.CoreV1Api, watch: str
) -> None:
    batch = client.BatchV1Api(api)

    def trainings() -> dict[str, Any]:
        found = batch.list_namespaced_job(NAMESPACE).items
        return {job.metadata.name: job for job in found if f"{MODEL}-train-drift-" in job.metadata.name}

    def age(**state: float) -> None:
        run_in_pod(core, NAMESPACE, watch, "python3", "-c", AGE, json.dumps(state))

    def says(text: str) -> None:
        def said() -> bool:
            return text in core.read_namespaced_pod_log(watch, NAMESPACE, since_seconds=30)

        wait_for(said, f"the watch does not say: {text}", 120)

    before = set(trainings())
    age(over=0, asked=0)  # nothing is left of an earlier run of the tests
    says("; 1 days in a row were over it")
    says("was judged before")
    assert set(trainings()) == before, "a single day had something trained"

    age()
    [name] = wait_for(lambda: set(trainings()) - before, "drift asks for no training", 120)
    job = trainings()[name]
    assert "A retraining is asked for" in job.metadata.annotations["metalworks/why"]
    [owner] = job.metadata.owner_references
    assert (owner.kind, owner.name, owner.controller) == ("CronJob", f"{MODEL}-train", True)
    wait_for(lambda: trainings()[name].status.succeeded, "the training does not end well", 400)

    age(over=1)
    says("the cool-down goes on")
    time.sleep(12)  # two more looks
    assert set(trainings()) == {*before, name}
    assert value(page(core, watch), "metalworks_model_retraining_asked_timestamp_seconds") > 0
    said = core.read_namespaced_pod_log(watch, NAMESPACE).splitlines()
    failed = "\n".join(line for line in said if "this look failed" in line)
    assert value(page(core, watch), "metalworks_model_watch_failures") == 0, failed
