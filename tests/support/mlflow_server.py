"""MLflow's server in the scenario's cluster, as its users reach it through the door."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import ExitStack
from typing import Any

import requests
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from tests.mlflow.conftest import As
from tests.support.object_store import images_of_the_store
from tests.support.playbooks import Outcome, play
from tests.support.scenario import CONTEXT, INVENTORIES, KUBECONFIG, ROOT
from tests.support.waiting import wait_for

from kubernetes import client

NAMESPACE, SELECTOR = "mlflow", "app.kubernetes.io/name=mlflow"
SECRET = hashlib.sha256(b"door").hexdigest()
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def token(program: str) -> str:
    """The token of a program, which the role made."""
    return (KUBECONFIG.parent / "secrets" / f"mlflow_program_{program}").read_text().strip()


class Server:
    """Opens the port of the server's pod on this computer, anew for each pod."""

    def __init__(self, core: client.CoreV1Api) -> None:
        """Open nothing yet."""
        self.core = core
        self.api = KubernetesApi(str(KUBECONFIG), CONTEXT)
        self._open = ExitStack()
        self._address = ""

    def url(self) -> str:
        """Return an address at which the server answers now."""

        def answers() -> str:
            try:
                if not self._address:
                    way = forwarded(self.api, NAMESPACE, SELECTOR, 5000)
                    self._address = f"http://{self._open.enter_context(way)}"
                return self._address if requests.get(f"{self._address}/health", timeout=5).ok else ""
            except (ApiError, requests.RequestException):
                self.forget()
                return ""

        return wait_for(answers, lambda: f"the server does not answer: {self.describe()}", 600, every=1)

    def forget(self) -> None:
        """Close the port, because the pod is another one now."""
        self._open.close()
        self._address = ""

    def user(self, name: str, *groups: str) -> As:
        """Return a user whom the door has let in."""
        who = As(self.url(), name, groups)
        who.session.headers["X-Metalworks-Door"] = SECRET
        return who

    def pods(self) -> list[Any]:
        """Return the pods that are not being deleted."""
        found = self.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def converge(self, **variables: Any) -> Outcome:
        """Run the scenario's converge.yml with other values and the images that run; it may fail."""
        references = {"mlflow": self.pods()[0].spec.containers[0].image, **images_of_the_store(self.core)}
        given = {"container_images_references": references, **variables}
        return play(ROOT / "molecule" / "mlflow" / "converge.yml", INVENTORIES / "cluster.yml", **given)

    def delete_pod(self) -> None:
        """Delete the server's pod, and wait until its process has ended."""
        (pod,) = self.pods()
        self.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=1)
        # The pod is in the API until then.
        wait_for(
            lambda: (
                pod.metadata.uid
                not in [each.metadata.uid for each in self.core.list_namespaced_pod(NAMESPACE).items]
            ),
            "the pod does not end",
        )
        self.forget()

    def describe(self) -> str:
        """Return the states of the pods, and the end of their logs."""
        return "\n".join(
            f"{pod.metadata.name}: {pod.status.phase}\n"
            + self.core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, tail_lines=30)
            for pod in self.pods()
        )


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
