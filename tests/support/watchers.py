"""Prometheus in the scenario's cluster, and what the receiver of its alerts was told."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import requests
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from tests.support.scenario import CONTEXT, KUBECONFIG

NAMESPACE = "monitoring"
PORTS = {"app.kubernetes.io/name=prometheus": 9090, "app=receiver": 8080}


class Watchers:
    """Opens the ports of the pods on this computer, once each."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self.api = KubernetesApi(str(KUBECONFIG), CONTEXT)
        self._open = ExitStack()
        self._addresses: dict[str, str] = {}

    def address(self, selector: str) -> str:
        """Return where the pod of a selector answers."""
        if selector not in self._addresses:
            way = forwarded(self.api, NAMESPACE, selector, PORTS[selector])
            self._addresses[selector] = f"http://{self._open.enter_context(way)}"
        return self._addresses[selector]

    def forget(self) -> None:
        """Close all ports, because the pods are others now."""
        self._open.close()
        self._addresses.clear()

    def ask(self, path: str, **params: str) -> Any:
        """Return the data of one answer of Prometheus' API."""
        url = f"{self.address('app.kubernetes.io/name=prometheus')}/api/v1/{path}"
        answer = requests.get(url, params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    def result(self, query: str) -> list[dict[str, Any]]:
        """Return the series of a query, as they are now."""
        return self.ask("query", query=query)["result"]

    def told(self, path: str = "/alerts") -> list[dict[str, Any]]:
        """Return the alerts that the receiver was told of, each with the time at which it was told (`at`)."""
        messages = requests.get(self.address("app=receiver"), timeout=30).json()
        return [
            {**alert, "at": message["at"]}
            for message in messages
            if message["path"] == path
            for alert in message["alerts"]
        ]
