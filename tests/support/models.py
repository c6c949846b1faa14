"""The models of the scenario, and a pod of somebody who asks them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.mlflow.api import PORT
from ansible.module_utils.metalworks.mlflow.api import SELECTOR as MLFLOW
from tests.model.run import image
from tests.support.playbooks import Outcome, play
from tests.support.pods import run_in_pod
from tests.support.scenario import CLUSTER_STATE, CONTEXT, INVENTORIES, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "molecule" / "model"
NAMESPACE, MODEL = "model", "recommender"
SELECTOR = f"app.kubernetes.io/name={MODEL}"
ADDRESS = f"{MODEL}.{NAMESPACE}.svc.cluster.local"
# Asks once, and prints status, headers and body as JSON.
ASK = """
import http.client, json, sys
host, method, path, body = sys.argv[1:]
connection = http.client.HTTPConnection(*host.split(":"), timeout=20)
connection.request(method, path, body or None)
answer = connection.getresponse()
print(json.dumps([answer.status, answer.read().decode()]))
"""
# Asks from many connections, half of which are made anew for each request, until a file appears and the least
# number of answers is reached.
LOAD = """
import collections, http.client, json, os, sys, threading, time
host, stop, least = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen, failures, lock = collections.Counter(), [], threading.Lock()
def ask(number):
    connection = None
    while not os.path.exists(stop) or len(failures) + sum(seen.values()) < least:
        began = time.time()
        try:
            if connection is None:
                connection = http.client.HTTPConnection(host, 8080, timeout=10)
            connection.request("GET", f"/recommend?user={12000 + number}&count=5")
            answer = connection.getresponse()
            body = answer.read()
            ok, closes = answer.status == 200, answer.getheader("Connection") == "close"
            said = json.loads(body).get("model_version", "") if ok else f"{answer.status} {body[:200]}"
        except Exception as problem:
            ok, closes, said = False, True, f"{type(problem).__name__} {problem}"
        with lock:
            if ok: seen[said] += 1
            else: failures.append(f"{began:.2f} {said}")
        if closes or not ok or number % 2:
            connection.close()
            connection = None
        time.sleep(0.02)
threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(json.dumps({"seen": seen, "failures": failures}))
"""


@dataclass
class Asker:
    """A pod that may ask the models."""

    core: client.CoreV1Api
    namespace: str
    name: str

    def ask(
        self, path: str, body: Any = None, host: str = f"{ADDRESS}:8080", method: str = ""
    ) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
        method = method or ("POST" if text else "GET")
        said = run_in_pod(
            self.core, self.namespace, self.name, "python3", "-c", ASK, host, method, path, text
        )
        try:
            status, content = json.loads(said)
        except ValueError:
            pytest.fail(f"{method} {path}: {said}")
        try:
            return status, json.loads(content)
        except ValueError:
            return status, content

    @contextlib.contextmanager
    def load(self, least: int = 0) -> Iterator[dict[str, Any]]:
        """Ask all the time; the dictionary has `seen` and `failures` when the block has ended.

        Asking goes on after the block until there were `least` answers.
        """
        found: dict[str, Any] = {}
        stop = f"/tmp/stop-{id(found)}"

        def run() -> None:
            asking = ("python3", "-c", LOAD, ADDRESS, stop, str(least))
            found["said"] = run_in_pod(self.core, self.namespace, self.name, *asking)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield found
        finally:
            run_in_pod(self.core, self.namespace, self.name, "touch", stop)
            thread.join(60 + least / 10)
        found |= json.loads(found.pop("said", "") or "{}")


def pods(core: client.CoreV1Api) -> list[Any]:
    """Return the servers' pods that are not being deleted."""
    found = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    return [pod for pod in found if pod.metadata.deletion_timestamp is None]


def ready(core: client.CoreV1Api) -> list[str]:
    """Return the names of the servers' pods that take requests."""
    return [
        pod.metadata.name
        for pod in pods(core)
        if pod.status.container_statuses and all(each.ready for each in pod.status.container_statuses)
    ]


def replace_all(api: client.ApiClient, core: client.CoreV1Api, seconds: float = 400) -> None:
    """Replace all servers by new ones, and wait until the old ones are gone."""
    before = {pod.metadata.uid for pod in pods(core)}
    restarted = {"metalworks.io/restarted": str(time.time())}
    patch = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    client.AppsV1Api(api).patch_namespaced_deployment(MODEL, NAMESPACE, patch)

    def replaced() -> bool:
        found = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
        return not before & {pod.metadata.uid for pod in found} and len(ready(core)) == len(found)

    wait_for(replaced, "the servers are not replaced", seconds)


def until_three_are_ready(core: client.CoreV1Api, seconds: float = 240) -> None:
    """Wait until there are three servers, and all of them are ready."""
    wait_for(lambda: len(ready(core)) == len(pods(core)) == 3, "three servers are not ready", seconds)


def newest_job(api: client.ApiClient, prefix: str) -> Any:
    """Return the Job that was made last of those whose names begin so."""
    jobs = client.BatchV1Api(api).list_namespaced_job(NAMESPACE).items
    its = (each for each in jobs if each.metadata.name.startswith(prefix))
    return max(its, key=lambda each: each.metadata.creation_timestamp)


def asking_pod(core: client.CoreV1Api, namespace: str, labels: dict[str, str], name: str = "") -> Asker:
    """Run a pod from which somebody asks, on a server: the machines that tests stop are agents."""
    image = pods(core)[0].spec.containers[0].image
    name = name or f"asks-{labels.get('asks', 'nobody')}"
    for create in (
        lambda: core.create_namespace({"metadata": {"name": namespace}}),
        lambda: core.create_namespaced_pod(
            namespace,
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "nodeSelector": {"node-role.kubernetes.io/control-plane": "true"},
                    "containers": [
                        {"name": "asks", "image": image, "command": ["sleep", "infinity"]},
                    ],
                },
            },
        ),
    ):
        with contextlib.suppress(client.ApiException):  # an earlier run of the tests made it
            create()
    wait_for(
        lambda: core.read_namespaced_pod(name, namespace).status.phase == "Running",
        f"{name} does not run",
        180,
    )
    return Asker(core, namespace, name)


def let_in(core: client.CoreV1Api, name: str = "") -> Asker:
    """Run a pod that may ask the models, and wait until it can. A policy lets a new pod in seconds later."""
    found = asking_pod(core, "people", {"asks": "models"}, name)
    wait_for(lambda: found.ask("/v2/health/ready")[0] == 200, "the models do not answer", 120)
    return found


def operate(verb: str, **variables: Any) -> Outcome:
    """Run a playbook of operations, as a person would."""
    given = ("--extra-vars", f"@{SCENARIO / 'vars.yml'}")
    playbook = ROOT / "playbooks" / "operations" / f"{verb}_model.yml"
    return play(playbook, INVENTORIES / "cluster.yml", *given, **variables)


def served(asker: Asker, core: client.CoreV1Api) -> set[str]:
    """The versions that the servers answer with, each asked by itself."""
    return {
        asker.ask(f"/v2/models/{MODEL}/ready", host=f"{pod.status.pod_ip}:8080")[1]["version"]
        for pod in pods(core)
    }


def with_mlflow(script: str, *arguments: str) -> str:
    """Run a script in the tests' image, with the rights of a program that may decide; return what it printed.

    It has MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN.
    """
    token = (CLUSTER_STATE / "secrets" / "mlflow_program_model-trainer").read_text().strip()
    cluster = KubernetesApi(str(KUBECONFIG), CONTEXT)
    with forwarded(cluster, "mlflow", MLFLOW, PORT) as address:
        done = subprocess.run(
            [
                *("docker", "run", "--rm", "--network=host", "--env=HOME=/tmp"),
                "--env=MLFLOW_TRACKING_TOKEN",
                *(f"--env=MLFLOW_TRACKING_URI=http://{address}", "--entrypoint=python3", image()),
                *("-W", "ignore", "-c", script, *arguments),
            ],
            env={**os.environ, "MLFLOW_TRACKING_TOKEN": token},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
