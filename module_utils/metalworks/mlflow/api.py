"""A small client of MLflow's REST API: registered models, their versions and aliases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..common.json_api import ApiError as ApiError
from ..common.json_api import JsonApi
from ..kubernetes.api import ARGUMENTS as KUBERNETES_ARGUMENTS
from ..kubernetes.api import KubernetesApi
from ..kubernetes.forward import forwarded

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str"},
    "namespace": {"type": "str"},
    "token": {"type": "str", "required": True, "no_log": True},
    **KUBERNETES_ARGUMENTS,
}
# Of the two ways to the server a task names one.
RULES: dict[str, Any] = {
    "required_one_of": [("url", "namespace")],
    "mutually_exclusive": [("url", "namespace")],
}
MISSING = "RESOURCE_DOES_NOT_EXIST"
SELECTOR, PORT = "app.kubernetes.io/name=mlflow", 5000


class MlflowApi(JsonApi):
    """A client for one server, at its own address or behind the hub's door.

    Paths are those below /api/2.0/mlflow.
    """

    whose = "MLflow's"
    seconds = 60

    def __init__(self, url: str, token: str) -> None:
        """Remember where the server is, and the token that is sent with each request."""
        super().__init__(f"{url.rstrip('/')}/api/2.0/mlflow", {"Authorization": f"Bearer {token}"})

    def _is_missing(self, error: ApiError) -> bool:
        # The door before the server answers 404 as well.
        return error.code == MISSING


@contextmanager
def open_api(params: Mapping[str, Any]) -> Iterator[MlflowApi]:
    """Yield a client of the server that a module's parameters name: at its address, or a pod in a cluster."""
    if params["url"]:
        yield MlflowApi(params["url"], params["token"])
        return
    cluster = KubernetesApi(params["kubeconfig"], params["context"])
    with forwarded(cluster, params["namespace"], SELECTOR, PORT) as address:
        yield MlflowApi(f"http://{address}", params["token"])
