"""What every notebook is given for the other parts of the platform: variables, files, and the way to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..door.pages import egress_to
from ..object_store.rights import USER_PREFIX

# Where the user's credential of the object store is in each server.
STORE_FOLDER = "/etc/object-store"
STORE_VOLUME = "object-store"

Values = dict[str, Any]


def notebook_values(
    parts: Collection[str], inner_url: str, store: Mapping[str, Any], given: Mapping[str, Any]
) -> Values:
    """Return values of the chart, below `singleuser`; none for parts that the platform does not have.

    `inner_url` is the hub's address as pods reach it; `store` the object store's endpoint, region and those
    names of buckets that differ; `given` the operator's own variables (environment) and rules (egress).
    """
    environment: Values = {}
    found: Values = {}
    egress = list(given.get("egress") or [])
    if {"mlflow", "door"} <= set(parts):
        environment |= mlflow_environment(inner_url)
    if "object_store" in parts:
        environment |= store_environment(store)
        egress.append(egress_to(store["endpoint"]))
        found["storage"] = store_volume()
    environment |= given.get("environment") or {}
    if environment:
        found["extraEnv"] = environment
    if egress:
        found["networkPolicy"] = {"egress": egress}
    return found


def mlflow_environment(inner_url: str) -> Values:
    """Return what MLflow's client reads. The token is the server's own, so that a run is its user's."""
    return {
        "MLFLOW_TRACKING_URI": f"{inner_url.rstrip('/')}/services/mlflow",
        # The kubelet puts the value in. KubeSpawner lists a variable after those that it refers to.
        "MLFLOW_TRACKING_TOKEN": "$(JUPYTERHUB_API_TOKEN)",
    }


def store_environment(store: Mapping[str, Any]) -> Values:
    """Return what clients of S3 and DVC read. KubeSpawner replaces {username} by what Kubernetes allows."""
    # One text for all servers cannot name buckets that somebody else has named.
    named = any(name.startswith(USER_PREFIX) for name in store["buckets"])
    return {
        "AWS_SHARED_CREDENTIALS_FILE": f"{STORE_FOLDER}/credentials",
        "AWS_CONFIG_FILE": f"{STORE_FOLDER}/config",
        "AWS_ENDPOINT_URL": store["endpoint"],
        "AWS_DEFAULT_REGION": store["region"],
        # DVC reads the file `config` in this folder.
        "DVC_SYSTEM_CONFIG_DIR": f"{STORE_FOLDER}/dvc",
        "DVC_NO_ANALYTICS": "1",
        **({} if named else {"S3_PREFIX": f"s3://{USER_PREFIX}{{username}}"}),
    }


def store_volume() -> Values:
    """Return the volume with the user's credential. A user without one can work all the same."""
    secret = {
        "secretName": "object-store-{username}",
        "optional": True,
        "items": [
            {"key": "credentials", "path": "credentials"},
            {"key": "config", "path": "config"},
            {"key": "dvc", "path": "dvc/config"},
        ],
    }
    mount = {"name": STORE_VOLUME, "mountPath": STORE_FOLDER, "readOnly": True}
    # Dictionaries, and not lists, so that an operator's volumes are added and do not take their place.
    return {
        "extraVolumes": {STORE_VOLUME: {"name": STORE_VOLUME, "secret": secret}},
        "extraVolumeMounts": {STORE_VOLUME: mount},
    }


def inner_url(values: Mapping[str, Any], url: str, namespace: str) -> str:
    """Return the hub's address as pods reach it, with the path of the hub, and without a slash at its end.

    Where the hub's proxy speaks https itself, it sends whoever comes by http away, so that pods take the
    public address `url`.
    """
    path = base_url(values).rstrip("/")
    https = (values.get("proxy") or {}).get("https") or {}
    if https.get("enabled") is True:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}{path}"
    return f"http://proxy-public.{namespace}.svc.cluster.local{path}"


def base_url(values: Mapping[str, Any]) -> str:
    """Return the path under which the chart's values put the hub; it starts and ends with a slash."""
    return str((values.get("hub") or {}).get("baseUrl") or "/")
