"""The values that the role hands to the chart, as an inventory with every input would have them."""

from __future__ import annotations

from typing import Any

from plugins.filter.helm_release import helm_values
from tests.support.roles import resolved

INPUTS: dict[str, Any] = {
    "jupyterhub_users": [{"name": "ada", "password": "first-programmer", "admin": True}],
    "jupyterhub_secrets": {
        "cookie_secret": "c" * 64,
        "crypt_key": "d" * 64,
        "proxy_token": "p" * 64,
        "api_token": "a" * 64,
    },
    "jupyterhub_images": {"hub": "example.test/hub:1", "proxy": f"example.test/proxy:2@sha256:{'0' * 64}"},
    "jupyterhub_profiles": [
        {"display_name": "Minimal", "slug": "minimal", "image": "example.test/minimal:3", "mem_limit": "2G"}
    ],
    "jupyterhub_registry": {},
    "jupyterhub_url": "http://192.0.2.11:30080",
    "metalworks_parts": ["jupyterhub"],
    "metalworks_pages": [],
    "metalworks_door_key": "k" * 64,
    "jupyterhub_namespace": "jupyterhub",
    "monitoring_namespace": "monitoring",
    "monitoring_hub_token": "m" * 64,
    "object_store_endpoint": "http://object-store.object-store.svc.cluster.local:7070",
    "object_store_region": "us-east-1",
    "object_store_buckets": {},
}
# A platform with every part that gives the hub something to do.
ALL_PARTS: dict[str, Any] = {
    "metalworks_parts": ["jupyterhub", "object_store", "mlflow", "monitoring", "door"],
    "metalworks_pages": [
        {"name": "mlflow", "title": "MLflow", "url": "http://mlflow.mlflow.svc.cluster.local:5000"},
        {"name": "logs", "url": "http://192.0.2.30:3100", "groups": ["admins"]},
        {"name": "deploys", "url": "http://deploys.model.svc:80", "groups": ["deployers", "admins"]},
    ],
    "jupyterhub_groups": {"deployers": ["ada"]},
    "jupyterhub_environment": {"PIP_INDEX_URL": "https://pip.example/simple"},
    "jupyterhub_egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.40/32"}}]}],
}


def values(**given: Any) -> dict[str, Any]:
    """Return the values that Helm is given for these inputs."""
    found = resolved("jupyterhub", "__jupyterhub_all_values", **{**INPUTS, **given})
    return helm_values(found, "custom.chart", "e" * 64)
