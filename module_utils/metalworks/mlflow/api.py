"""A small client of MLflow's REST API: registered models, their versions and aliases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from ..common.json_api import ApiError as ApiError
from ..common.json_api import JsonApi
from ..kubernetes.api import ARGUMENTS as KUBERNETES_ARGUMENTS
from ..kubernetes.api import KubernetesApi
from ..kubernetes.forward import forwarded

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str"},
    "namespace": {"type": "str"},
    "token": {"type": "str", "required": True, "no_log": True},
    "model": {"type": "str", "required": True},
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
        address, headers = f"{url.rstrip('/')}/api/2.0", {"Authorization": f"Bearer {token}"}
        super().__init__(f"{address}/mlflow", headers)
        self._files = _Files(f"{address}/mlflow-artifacts/artifacts", headers)

    def registered(self, name: str) -> Mapping[str, Any] | None:
        """Return a registered model, or None if there is none of this name."""
        found = self.find("/registered-models/get", name=name)
        return found["registered_model"] if found else None

    def files(self, uri: str) -> set[str]:
        """Return the names of the files at a URI. ApiError if the server does not hand them out."""
        found = json.loads(self._files.request("GET", f"?path={quote(_path_of(uri))}")).get("files", ())
        return {str(each["path"]).rpartition("/")[2] for each in found if not each.get("is_dir")}

    def read_file(self, uri: str, name: str) -> str:
        """Return the text of a file at a URI."""
        return str(self._files.request("GET", f"/{quote(_path_of(uri))}/{quote(name)}"))

    def _is_missing(self, error: ApiError) -> bool:
        # The door before the server answers 404 as well.
        return error.code == MISSING


def aliases_of(registered: Mapping[str, Any]) -> dict[str, str]:
    """Return the version at which each alias of a registered model points."""
    return {each["alias"]: str(each["version"]) for each in registered.get("aliases", ())}


class _Files(JsonApi):
    """The server's artifacts, which are text as it is."""

    whose = "MLflow's"
    seconds = 60

    def _parse(self, text: str, content_type: str) -> Any:
        return text


def _path_of(uri: str) -> str:
    """Return the path of a URI in the server's store. ApiError if the server does not hand it out."""
    scheme, _, path = uri.partition(":/")
    if scheme != "mlflow-artifacts":
        raise ApiError(f"the files are at {uri}, which MLflow does not hand out: log the model again")
    # mlflow-artifacts:/PATH, or with the server's name before the path.
    return path.partition("/")[2].partition("/")[2] if path.startswith("/") else path


@contextmanager
def open_api(params: Mapping[str, Any]) -> Iterator[MlflowApi]:
    """Yield a client of the server that a module's parameters name: at its address, or a pod in a cluster."""
    if params["url"]:
        yield MlflowApi(params["url"], params["token"])
        return
    cluster = KubernetesApi(params["kubeconfig"], params["context"])
    with forwarded(cluster, params["namespace"], SELECTOR, PORT) as address:
        yield MlflowApi(f"http://{address}", params["token"])
