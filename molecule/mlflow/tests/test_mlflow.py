"""The server in the cluster: runs and files outlive its pod, its settings and a kill during an upload."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.object_store.s3 import make_client
from tests.support.mlflow_server import ARTIFACTS, NAMESPACE, SECRET, Server, is_whole, log_model, token
from tests.support.scenario import CONTEXT, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

ROOT = Path(__file__).resolve().parents[3]
STORE = "object-store"


def test_a_run_with_a_model_is_logged_and_listed(server: Server) -> None:
    user1, user2 = server.user("user1"), server.user("user2")
    run, name = log_model(user1)
    found = user2.may(
        "POST", "runs/search", {"experiment_ids": ["0"], "filter": f"attributes.run_id = '{run}'"}
    )
    assert found["runs"][0]["info"]["user_id"] == "user1"
    assert (
        user2.may("GET", "registered-models/get", params={"name": name})["registered_model"]["name"] == name
    )
    assert is_whole(user2, run)


def test_nobody_is_let_in_by_claiming_a_name(server: Server) -> None:
    url = server.url()
    assert requests.get(f"{url}/health", timeout=30).status_code == 200
    for headers in (
        {},
        {"X-Metalworks-User": "user1"},
        {"X-Metalworks-User": "user1", "X-Metalworks-Groups": "admins", "X-Metalworks-Door": "guessed"},
        {"Authorization": "Bearer guessed"},
    ):
        answer = requests.get(f"{url}/api/2.0/mlflow/experiments/search", headers=headers, timeout=30)
        assert answer.status_code == 401, headers


def test_user2_changes_nothing_of_user1_and_moves_no_champion(server: Server) -> None:
    user1, user2 = server.user("user1"), server.user("user2")
    run, name = log_model(user1)
    user2.refused("POST", "runs/delete", {"run_id": run})
    user2.refused("POST", "runs/set-tag", {"run_id": run, "key": "a", "value": "b"})
    path = f"{ARTIFACTS}/0/{run}/artifacts/model/weights.bin"
    assert user2.ask("PUT", path, data=b"evil").status_code == 403
    champion = {"name": name, "alias": "champion", "version": "1"}
    user2.refused("POST", "registered-models/alias", champion)
    user1.refused("POST", "registered-models/alias", champion)
    server.user("lead", "deployers").may("POST", "registered-models/alias", champion)
    assert is_whole(user1, run)


def test_a_program_has_a_token_of_its_own(server: Server) -> None:
    answer = requests.post(
        f"{server.url()}/api/2.0/mlflow/runs/create",
        json={"experiment_id": "0"},
        headers={"Authorization": f"Bearer {token('trainer')}"},
        timeout=30,
    )
    assert answer.json()["run"]["info"]["user_id"] == "service:trainer"


def test_the_module_moves_an_alias(server: Server, tmp_path: Path) -> None:
    _, name = log_model(server.user("user1"))
    arguments = {
        "url": server.url(),
        "token": token("release"),
        "model": name,
        "version": "latest",
        "alias": "champion",
        "only_from": "none",
    }
    command = ["ansible", "localhost", "-m", "mlflow_model_version", "-a", json.dumps(arguments)]
    for changed in (True, False):
        arguments.pop("only_from", None) if not changed else None
        command[-1] = json.dumps(arguments)
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_LIBRARY": str(ROOT / "library" / "mlflow")},
            capture_output=True,
            text=True,
        )
        assert ("CHANGED" if changed else "SUCCESS") in done.stdout, done.stdout + done.stderr
        assert arguments["token"] not in done.stdout


@contextlib.contextmanager
def own_key(core: client.CoreV1Api) -> Iterator[Any]:
    """The object store, with the server's own key."""
    data = core.read_namespaced_secret("object-store", NAMESPACE).data
    key, secret = (
        base64.b64decode(data[name]).decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    api = KubernetesApi(str(KUBECONFIG), CONTEXT)
    with forwarded(api, STORE, f"app.kubernetes.io/name={STORE}", 7070) as address:
        yield make_client(f"http://{address}", key, secret, "us-east-1", near=True)


def test_files_are_in_the_bucket_of_the_server(core: client.CoreV1Api, server: Server) -> None:
    run, _ = log_model(server.user("user1"))
    with own_key(core) as store:
        key = f"artifacts/0/{run}/artifacts/model/weights.bin"
        assert store.get_object(Bucket="mlflow", Key=key)["Body"].read() == run.encode() * 1000


def end_the_stores_pod(core: client.CoreV1Api) -> None:
    """Delete the store's pod, wait until its process has ended, and then until another one is ready."""
    selector = f"app.kubernetes.io/name={STORE}"
    (pod,) = core.list_namespaced_pod(STORE, label_selector=selector).items
    core.delete_namespaced_pod(pod.metadata.name, STORE, grace_period_seconds=0)

    def ready() -> bool:
        found = core.list_namespaced_pod(STORE, label_selector=selector).items
        states = [state for each in found for state in each.status.container_statuses or ()]
        return (
            pod.metadata.uid not in [each.metadata.uid for each in found]
            and bool(states)
            and all(state.ready for state in states)
        )

    wait_for(ready, "the store does not come back", 180)


@pytest.mark.parametrize("whose", ["the servers pod", "the stores pod"])
def test_a_pod_that_ends_in_an_upload_leaves_nothing_half_and_the_retry_succeeds(
    core: client.CoreV1Api, server: Server, whose: str
) -> None:
    user1 = server.user("user1")
    run, _ = log_model(user1)
    path = f"{ARTIFACTS}/0/{run}/artifacts/large.bin"
    halfway, go_on = threading.Event(), threading.Event()

    def content() -> Iterator[bytes]:
        # More than one part of a multipart upload, so that the store has some of it.
        for _ in range(12):
            yield b"x" * 1_000_000
        halfway.set()
        go_on.wait(240)
        yield b"y" * 2_000_000

    said: list[Any] = []

    def upload() -> None:
        try:
            said.append(user1.ask("PUT", path, data=content()).status_code)
        except requests.RequestException as error:
            said.append(type(error).__name__)

    thread = threading.Thread(target=upload)
    thread.start()
    assert halfway.wait(60)
    if whose == "the servers pod":
        server.delete_pod()
    else:
        end_the_stores_pod(core)
    go_on.set()
    thread.join(240)
    assert said, "the client waits for ever"

    user1 = server.user("user1")
    files = {file["path"] for file in user1.may("GET", "artifacts/list", params={"run_id": run})["files"]}
    if said == [200]:
        # The server sent its part again when the store was back.
        assert whose == "the stores pod"
        assert user1.ask("GET", path).content == b"x" * 12_000_000 + b"y" * 2_000_000
    else:
        assert files == {"model"}, "nothing half is listed"
    assert is_whole(user1, run), "what was there before is there"
    assert user1.ask("PUT", path, data=b"whole").status_code == 200
    assert user1.ask("GET", path).content == b"whole"


def test_another_setting_loses_no_run(server: Server) -> None:
    run, _ = log_model(server.user("user1"))
    (before,) = server.pods()
    changed = {"mlflow_deployers": "releasers", "mlflow_memory_limit": "800Mi"}
    assert not server.converge(**changed).check().changed_nothing
    assert server.converge(**changed).check().changed_nothing
    (after,) = server.pods()
    assert after.metadata.uid != before.metadata.uid
    assert is_whole(server.user("user1"), run)
    server.user("lead", "deployers").refused("POST", "runs/delete", {"run_id": run})
    server.user("lead", "releasers").may("POST", "runs/delete", {"run_id": run})


def test_the_pod_has_the_least_rights(server: Server) -> None:
    (pod,) = server.pods()
    (container,) = pod.spec.containers
    security = container.security_context
    assert pod.spec.automount_service_account_token is False
    assert pod.spec.security_context.run_as_non_root
    assert pod.spec.security_context.seccomp_profile.type == "RuntimeDefault"
    assert security.read_only_root_filesystem
    assert security.allow_privilege_escalation is False
    assert security.capabilities.drop == ["ALL"]
    temporary = next(volume.empty_dir for volume in pod.spec.volumes if volume.name == "tmp")
    assert temporary.size_limit == "1Gi"
    assert container.resources.limits["memory"]
    secrets = [env.value for env in container.env if env.value and SECRET in env.value]
    assert secrets == [], "a secret comes from a Secret"


def test_only_the_door_and_clients_reach_the_server(core: client.CoreV1Api, server: Server) -> None:
    """A pod without the label cannot connect; one with it can."""
    (pod,) = server.pods()
    image, address = pod.spec.containers[0].image, pod.status.pod_ip
    # The policies learn of a new pod's address a moment after it runs.
    probe = (
        "import socket, time\n"
        "for _ in range(20):\n"
        f"    try: socket.create_connection(('{address}', 5000), 8); print('open'); break\n"
        "    except OSError: time.sleep(1)\n"
        "else: print('closed')"
    )
    for name in ("jupyterhub", "strangers"):
        with contextlib.suppress(client.ApiException):  # an earlier run of the tests made it
            core.create_namespace({"metadata": {"name": name}})
    probes = {}
    for namespace, labels in (
        ("jupyterhub", {"app.kubernetes.io/name": "door"}),
        ("jupyterhub", {"component": "singleuser-server"}),
        ("strangers", {"app.kubernetes.io/name": "door"}),
        ("strangers", {"metalworks.io/mlflow-client": "true"}),
    ):
        name = f"probe-{uuid.uuid4().hex[:8]}"
        pod = {
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "probe", "image": image, "command": ["python3", "-c", probe]}],
            },
        }
        core.create_namespaced_pod(namespace, pod)
        probes[(namespace, next(iter(labels)))] = name
    outcomes = {}
    for (namespace, label), name in probes.items():
        wait_for(
            lambda name=name, namespace=namespace: (
                core.read_namespaced_pod(name, namespace).status.phase in ("Succeeded", "Failed")
            ),
            "the probe does not end",
            300,
        )
        outcomes[(namespace, label)] = core.read_namespaced_pod_log(name, namespace).strip()
    assert list(outcomes.values()) == ["open", "closed", "closed", "closed"], outcomes
