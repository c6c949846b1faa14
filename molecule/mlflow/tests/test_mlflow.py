"""The server in the cluster: runs and files outlive its pod, its settings and a kill during an upload."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.mlflow.conftest import As
from tests.support.scenario import CONTEXT, INVENTORIES, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = "mlflow"
SECRET = hashlib.sha256(b"door").hexdigest()
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def token(program: str) -> str:
    """The token of a program, which the role made."""
    return (KUBECONFIG.parent / "secrets" / f"mlflow_program_{program}").read_text().strip()


class Tunnel:
    """A way from this computer to the server's pod, as kubectl makes it. It is made anew for each pod."""

    def __init__(self, core: client.CoreV1Api) -> None:
        self.core, self.process, self.port = core, None, 0

    def url(self) -> str:
        """Return an address at which the server answers now."""

        def answers() -> str:
            if self.process is None or self.process.poll() is not None:
                self._open()
            try:
                address = f"http://127.0.0.1:{self.port}"
                return address if requests.get(f"{address}/health", timeout=5).ok else ""
            except requests.RequestException:
                self.close()
                return ""

        return wait_for(answers, lambda: f"the server does not answer: {describe(self.core)}", 600, every=1)

    def _open(self) -> None:
        command = ["port-forward", "--address=127.0.0.1", "service/mlflow", ":5000"]
        self.process = subprocess.Popen(
            [*kubectl(), *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()  # Forwarding from 127.0.0.1:43210 -> 5000
        self.port = int(line.split(":")[1].split(" ")[0]) if ":" in line else 0

    def close(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.communicate()
            self.process = None


def kubectl() -> list[str]:
    """The command, as the other tests of the cluster use it."""
    k3s = subprocess.run(
        [sys.executable, ROOT / "lab" / "build.py", "--path", "k3s"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return [k3s, "kubectl", f"--kubeconfig={KUBECONFIG}", f"--context={CONTEXT}", f"--namespace={NAMESPACE}"]


def pods(core: client.CoreV1Api) -> list[Any]:
    found = core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=mlflow").items
    return [pod for pod in found if pod.metadata.deletion_timestamp is None]


def describe(core: client.CoreV1Api) -> str:
    """The states of the pods, and the end of their logs."""
    return "\n".join(
        f"{pod.metadata.name}: {pod.status.phase}\n"
        + core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, tail_lines=30)
        for pod in pods(core)
    )


@pytest.fixture(scope="module")
def tunnel(core: client.CoreV1Api) -> Iterator[Tunnel]:
    made = Tunnel(core)
    yield made
    made.close()


def user(tunnel: Tunnel, name: str, *groups: str) -> As:
    who = As(tunnel.url(), name, groups)
    who.session.headers["X-Metalworks-Door"] = SECRET
    return who


def log_model(who: As) -> tuple[str, str]:
    """Log a run with a model's file, register it, and return the run's id and the model's name."""
    run = who.run()
    who.may("POST", "runs/log-metric", {"run_id": run, "key": "score", "value": 0.5, "timestamp": 1})
    path = f"{ARTIFACTS}/0/{run}/artifacts/model/weights.bin"
    assert who.ask("PUT", path, data=run.encode() * 1000).status_code == 200
    name = f"model-{uuid.uuid4().hex}"
    who.may("POST", "registered-models/create", {"name": name})
    version = {"name": name, "source": f"runs:/{run}/model", "run_id": run}
    who.may("POST", "model-versions/create", version)
    return run, name


def is_whole(who: As, run: str) -> bool:
    """Whether a run of log_model, its metric and its file are there."""
    found = who.may("GET", "runs/get", params={"run_id": run})["run"]
    files = who.may("GET", "artifacts/list", params={"run_id": run, "path": "model"})["files"]
    content = who.ask("GET", f"{ARTIFACTS}/0/{run}/artifacts/model/weights.bin").content
    return (
        found["data"]["metrics"][0]["value"] == 0.5
        and [file["path"] for file in files] == ["model/weights.bin"]
        and content == run.encode() * 1000
    )


def test_a_run_with_a_model_is_logged_and_listed(tunnel: Tunnel) -> None:
    user1, user2 = user(tunnel, "user1"), user(tunnel, "user2")
    run, name = log_model(user1)
    found = user2.may(
        "POST", "runs/search", {"experiment_ids": ["0"], "filter": f"attributes.run_id = '{run}'"}
    )
    assert found["runs"][0]["info"]["user_id"] == "user1"
    assert (
        user2.may("GET", "registered-models/get", params={"name": name})["registered_model"]["name"] == name
    )
    assert is_whole(user2, run)


def test_nobody_is_let_in_by_claiming_a_name(tunnel: Tunnel) -> None:
    url = tunnel.url()
    assert requests.get(f"{url}/health", timeout=30).status_code == 200
    for headers in (
        {},
        {"X-Metalworks-User": "user1"},
        {"X-Metalworks-User": "user1", "X-Metalworks-Groups": "admins", "X-Metalworks-Door": "guessed"},
        {"Authorization": "Bearer guessed"},
    ):
        answer = requests.get(f"{url}/api/2.0/mlflow/experiments/search", headers=headers, timeout=30)
        assert answer.status_code == 401, headers


def test_user2_changes_nothing_of_user1_and_moves_no_champion(tunnel: Tunnel) -> None:
    user1, user2 = user(tunnel, "user1"), user(tunnel, "user2")
    run, name = log_model(user1)
    user2.refused("POST", "runs/delete", {"run_id": run})
    user2.refused("POST", "runs/set-tag", {"run_id": run, "key": "a", "value": "b"})
    path = f"{ARTIFACTS}/0/{run}/artifacts/model/weights.bin"
    assert user2.ask("PUT", path, data=b"evil").status_code == 403
    champion = {"name": name, "alias": "champion", "version": "1"}
    user2.refused("POST", "registered-models/alias", champion)
    user1.refused("POST", "registered-models/alias", champion)
    user(tunnel, "lead", "deployers").may("POST", "registered-models/alias", champion)
    assert is_whole(user1, run)


def test_a_program_has_a_token_of_its_own(tunnel: Tunnel) -> None:
    answer = requests.post(
        f"{tunnel.url()}/api/2.0/mlflow/runs/create",
        json={"experiment_id": "0"},
        headers={"Authorization": f"Bearer {token('trainer')}"},
        timeout=30,
    )
    assert answer.json()["run"]["info"]["user_id"] == "service:trainer"


def test_the_module_moves_an_alias(tunnel: Tunnel, tmp_path: Path) -> None:
    _, name = log_model(user(tunnel, "user1"))
    arguments = {
        "url": tunnel.url(),
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


def test_a_pod_that_is_killed_in_an_upload_leaves_nothing_half_and_the_retry_succeeds(
    core: client.CoreV1Api, tunnel: Tunnel
) -> None:
    user1 = user(tunnel, "user1")
    run, _ = log_model(user1)
    path = f"{ARTIFACTS}/0/{run}/artifacts/large.bin"
    halfway, go_on = threading.Event(), threading.Event()

    def content() -> Iterator[bytes]:
        yield b"x" * 2_000_000
        halfway.set()
        go_on.wait(120)
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
    (pod,) = pods(core)
    core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=1)
    # The pod is in the API until its process has ended.
    wait_for(
        lambda: (
            pod.metadata.uid not in [each.metadata.uid for each in core.list_namespaced_pod(NAMESPACE).items]
        ),
        "the pod does not end",
    )
    go_on.set()
    thread.join(120)
    assert said and said[0] != 200, "the client is told"

    user1 = user(tunnel, "user1")
    files = user1.may("GET", "artifacts/list", params={"run_id": run})["files"]
    assert [file["path"] for file in files] == ["model"], "nothing half is listed"
    assert is_whole(user1, run), "what was there before is there"
    assert user1.ask("PUT", path, data=b"whole").status_code == 200
    assert user1.ask("GET", path).content == b"whole"


def test_another_setting_loses_no_run(core: client.CoreV1Api, tunnel: Tunnel) -> None:
    run, _ = log_model(user(tunnel, "user1"))
    (before,) = pods(core)
    changed = json.dumps({"mlflow_deployers": "releasers", "mlflow_memory_limit": "800Mi"})
    for expected in (True, False):
        done = subprocess.run(
            [
                "ansible-playbook",
                "-i",
                INVENTORIES / "cluster.yml",
                "-e",
                changed,
                ROOT / "molecule/mlflow/converge.yml",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("changed=0" not in done.stdout) == expected
    (after,) = pods(core)
    assert after.metadata.uid != before.metadata.uid
    assert is_whole(user(tunnel, "user1"), run)
    user(tunnel, "lead", "deployers").refused("POST", "runs/delete", {"run_id": run})
    user(tunnel, "lead", "releasers").may("POST", "runs/delete", {"run_id": run})


def test_the_pod_has_the_least_rights(core: client.CoreV1Api) -> None:
    (pod,) = pods(core)
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


def test_only_the_door_and_clients_reach_the_server(core: client.CoreV1Api) -> None:
    """A pod without the label cannot connect; one with it can."""
    (server,) = pods(core)
    image, address = server.spec.containers[0].image, server.status.pod_ip
    probe = (
        "import socket,sys\n"
        f"try: socket.create_connection(('{address}', 5000), 8); print('open')\n"
        "except OSError: print('closed')"
    )
    core.create_namespace({"metadata": {"name": "jupyterhub"}})
    core.create_namespace({"metadata": {"name": "strangers"}})
    outcomes = {}
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
        wait_for(
            lambda name=name, namespace=namespace: (
                core.read_namespaced_pod(name, namespace).status.phase in ("Succeeded", "Failed")
            ),
            "the probe does not end",
            300,
        )
        said = core.read_namespaced_pod_log(name, namespace).strip()
        outcomes[(namespace, next(iter(labels)))] = said
    assert list(outcomes.values()) == ["open", "closed", "closed", "closed"], outcomes
