"""A model that somebody logged to MLflow, from log_model to the answer of a server with its own libraries."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.model.run import image
from tests.support.logged_model import HOST, NAME, log, said
from tests.support.models import NAMESPACE, SCENARIO, Asker
from tests.support.playbooks import Outcome, play
from tests.support.pods import run_in_pod
from tests.support.scenario import INVENTORIES, converge_again
from tests.support.waiting import wait_for

from kubernetes import client

ROOT = Path(__file__).resolve().parents[3]
# The longest tasks at the end of a playbook's output.
TASK_TIME = re.compile(r" -+ \d+\.\d\ds$")
# What the code of a model could try.
ATTEMPTS = """
import os, socket, sys
def closed(host, port):
    try: socket.create_connection((host, port), timeout=8).close()
    except OSError: return True
    return False
print([
    closed("object-store.object-store.svc.cluster.local", 7070),
    closed("kubernetes.default", 443),
    closed("recommender.model.svc.cluster.local", 8080),
    not os.path.exists("/var/run/secrets/kubernetes.io"),
    not [each for each in os.environ if each.startswith("AWS_")],
    not os.access("/opt/model", os.W_OK),
])
"""


def deploy() -> Outcome:
    """Run playbooks/model.yml as a person would who added the entry to the inventory."""
    variables = SCENARIO / "vars.yml"
    entries = yaml.safe_load(variables.read_text())["model_models"]
    entry = {"name": NAME, "replicas": 1, "max_replicas": 1, "settings": {"poll_every": 1}}
    return play(
        ROOT / "playbooks" / "model.yml",
        INVENTORIES / "cluster.yml",
        *("--extra-vars", f"@{variables}"),
        model_models=[*entries, entry],
    )


def until(asker: Asker, expected: str) -> str:
    """Wait until the model answers so, and return the version."""
    wait_for(lambda: said(asker)[1] == expected, lambda: f"{NAME} says {said(asker)}", 240)
    return said(asker)[0]


def its_pods(core: client.CoreV1Api) -> list[Any]:
    """Return the pods of the model that are not being deleted."""
    found = core.list_namespaced_pod(NAMESPACE, label_selector=f"app.kubernetes.io/name={NAME}").items
    return [pod for pod in found if pod.metadata.deletion_timestamp is None]


@pytest.fixture(scope="module", autouse=True)
def removed_afterwards() -> Iterator[None]:
    yield
    converge_again(SCENARIO, "cluster.yml")


def test_an_entry_whose_model_nobody_has_logged_yet_is_left_out_and_said(api: client.ApiClient) -> None:
    found = deploy()
    if "is not served yet" not in found.check().said:
        pytest.skip("an earlier run of the tests has logged the model")
    assert f"{NAME} is not served yet: MLflow has no model {NAME}: log one" in found.said
    names = {each.metadata.name for each in client.AppsV1Api(api).list_namespaced_deployment(NAMESPACE).items}
    assert "recommender" in names and NAME not in names


def test_a_logged_model_answers_in_its_own_environment(core: client.CoreV1Api, asker: Asker) -> None:
    image()  # its build is no part of what is measured
    began = time.monotonic()
    log("first", "humanize==4.17.0")
    logged = time.monotonic()
    found = deploy().check()
    deployed = time.monotonic()
    version = until(asker, "first 1.0 kB")
    print(
        f"from log_model to the first answer: {time.monotonic() - began:.0f} s, of which log_model "
        f"{logged - began:.0f} s and playbooks/model.yml {deployed - logged:.0f} s"
    )
    print("\n".join(line for line in found.output.splitlines() if TASK_TIME.search(line)))
    (pod,) = its_pods(core)
    assert f"/served-{NAME}:" in pod.spec.containers[0].image
    status, answer = asker.ask(f"/v2/models/{NAME}", host=HOST)
    assert (status, answer["platform"], answer["versions"]) == (200, "metalworks_pyfunc", [version])
    status, answer = asker.ask(f"/v2/models/{NAME}/infer", {"inputs": []}, host=HOST)
    assert (status, answer["error"]) == (400, "the input bytes is missing")
    assert deploy().check().changed_nothing


def test_a_version_with_the_same_libraries_is_swapped_in_without_a_restart(
    core: client.CoreV1Api, asker: Asker
) -> None:
    before = [pod.metadata.uid for pod in its_pods(core)]
    began = time.monotonic()
    log("second", "humanize==4.17.0")
    until(asker, "second 1.0 kB")
    print(
        f"from log_model to the answer of a version with the same libraries: {time.monotonic() - began:.0f} s"
    )
    assert [pod.metadata.uid for pod in its_pods(core)] == before


def test_a_version_with_other_libraries_waits_for_its_image(asker: Asker) -> None:
    version = said(asker)[0]
    log("third", "humanize==4.16.0")

    def problem() -> str:
        return str(asker.ask(f"/v2/models/{NAME}/ready", host=HOST)[1].get("problem", ""))

    wait_for(lambda: problem() != "", "the server does not refuse the version")
    assert "it needs humanize==4.16.0, which this image does not have: run playbooks/model.yml" in problem()
    assert said(asker) == (version, "second 1.0 kB")
    assert "metalworks_model_refused 1.0" in asker.ask("/metrics", host=HOST)[1]
    deploy().check()
    assert until(asker, "third 1.0 kB") == str(int(version) + 1)
    assert problem() == ""


def test_the_code_of_a_model_reaches_nothing_but_mlflow(core: client.CoreV1Api) -> None:
    (pod,) = its_pods(core)
    assert run_in_pod(core, NAMESPACE, pod.metadata.name, "python3", "-c", ATTEMPTS).strip() == str(
        [True] * 6
    )
