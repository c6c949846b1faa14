"""Pods to try the platform with: made in a namespace of their own, gone afterwards."""

from __future__ import annotations

import uuid
from typing import Any

from kubernetes.client.rest import ApiException
from tests.support.pods import run_in_pod
from tests.support.waiting import wait_for

from kubernetes import client


class Sandbox:
    """One namespace; makes pods, waits for them and runs commands in them."""

    def __init__(self, api: Any, platform: dict[str, Any]) -> None:
        self.core = client.CoreV1Api(api)
        self.networking = client.NetworkingV1Api(api)
        self.image = platform["test_image"]
        self.hub, self.pull_secret = platform["namespace"], platform["pull_secret"]
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"

    def __enter__(self) -> Sandbox:
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        wait_for(
            lambda: self._has_default_account(), f"no default service account appeared in {self.namespace}"
        )
        if self.pull_secret:  # a registry's login, as the hub's own pods have it
            secret = self.core.read_namespaced_secret(self.pull_secret, self.hub)
            copy = {"metadata": {"name": self.pull_secret}, "type": secret.type, "data": secret.data}
            self.core.create_namespaced_secret(self.namespace, copy)
        return self

    def __exit__(self, *_: object) -> None:
        self.core.delete_namespace(self.namespace, grace_period_seconds=0)

    @property
    def pull_secrets(self) -> list[dict[str, str]]:
        return [{"name": self.pull_secret}] if self.pull_secret else []

    def _has_default_account(self) -> bool:
        try:
            self.core.read_namespaced_service_account("default", self.namespace)
        except ApiException:
            return False
        return True

    def pod(
        self, name: str, *, node: str | None = None, labels: dict[str, str] | None = None, **spec: Any
    ) -> str:
        """Start a pod that serves its name over HTTP on port 8000; return its address when it is ready."""
        serve = "exec python3 -m http.server -d /tmp/www 8000"
        command = f"mkdir -p /tmp/www && echo {name} > /tmp/www/index.html && {serve}"
        self.core.create_namespaced_pod(
            self.namespace,
            {
                "metadata": {"name": name, "labels": labels or {"app": name}},
                "spec": {
                    "nodeName": node,
                    "terminationGracePeriodSeconds": 0,
                    "imagePullSecrets": self.pull_secrets,
                    "containers": [
                        {
                            "name": "main",
                            "image": self.image,
                            "command": ["/bin/sh", "-c", command],
                            "readinessProbe": {"httpGet": {"port": 8000}, "periodSeconds": 1},
                            **spec.pop("container", {}),
                        }
                    ],
                    **spec,
                },
            },
        )
        wait_for(lambda: self._ready(name), lambda: self.explain(name))
        return self.core.read_namespaced_pod(name, self.namespace).status.pod_ip

    def _ready(self, name: str) -> bool:
        status = self.core.read_namespaced_pod(name, self.namespace).status
        return any(c.type == "Ready" and c.status == "True" for c in status.conditions or [])

    def explain(self, name: str) -> str:
        """Why a pod is not ready: its status and its events."""
        pod = self.core.read_namespaced_pod(name, self.namespace)
        events = self.core.list_namespaced_event(
            self.namespace, field_selector=f"involvedObject.name={name}"
        ).items
        lines = [f"{event.reason}: {event.message}" for event in events]
        return f"pod {name} is not ready ({pod.status.phase}):\n" + "\n".join(lines)

    def delete(self, name: str) -> None:
        self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)
        wait_for(lambda: not self._exists(name), f"pod {name} does not go away")

    def _exists(self, name: str) -> bool:
        try:
            self.core.read_namespaced_pod(name, self.namespace)
        except ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    def run(self, name: str, *command: str) -> str:
        """Run a command in a pod; return what it printed (both streams)."""
        return run_in_pod(self.core, self.namespace, name, *command)

    def fetch(self, name: str, host: str, port: int = 8000, path: str = "/", *, seconds: int = 10) -> str:
        """GET http://host:port/path from inside a pod; the body, or the exception's name."""
        program = (
            "import urllib.request as u,sys\n"
            f"try: answer = u.urlopen('http://{host}:{port}{path}', timeout={seconds})\n"
            "except Exception as e: print(type(e).__name__, e)\n"
            "else: print(answer.read().decode().strip())"
        )
        return self.run(name, "python3", "-c", program).strip()
