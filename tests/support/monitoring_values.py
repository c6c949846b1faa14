"""The values that the role monitoring hands to the chart, as a platform with all parts would have them."""

from __future__ import annotations

from typing import Any

from tests.support.roles import resolved

NAMESPACES = {
    "jupyterhub": "hubs",
    "object_store": "store",
    "mlflow": "mlflow",
    "monitoring": "watch",
    "model": "models",
    "door": "hubs",
}
PROGRAMS = (
    "prometheus-operator",
    "prometheus-config-reloader",
    "prometheus",
    "alertmanager",
    "node-exporter",
    "kube-state-metrics",
)
INPUTS: dict[str, Any] = {
    "metalworks_parts": list(NAMESPACES),
    "metalworks_namespaces": NAMESPACES,
    "container_images_references": {name: f"example.test/made/{name}:v3.16.0-0a1b2c3d" for name in PROGRAMS},
    "jupyterhub_namespace": "hubs",
    "monitoring_namespace": "watch",
    "monitoring_hub_token": "t" * 64,
    "groups": {},
    "hostvars": {},
    "monitoring_url": "https://hub.example",
}


def values(**given: Any) -> dict[str, Any]:
    """Return the values that Helm is given for these inputs."""
    return resolved("monitoring", "__monitoring_all_values", **{**INPUTS, **given})


def secrets(**given: Any) -> list[dict[str, Any]]:
    """Return the Secrets that the role writes for these inputs."""
    return resolved("monitoring", "__monitoring_secrets", **{**INPUTS, **given})
