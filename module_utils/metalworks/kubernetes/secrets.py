"""Secrets of Kubernetes: the API has their values in base64, and programs have them as text."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

# The key of a login to a registry.
LOGIN = ".dockerconfigjson"
LABELS = {"app.kubernetes.io/managed-by": "metalworks"}


def values_of(secret: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the values of a Secret by their keys; none if there is no Secret."""
    data = (secret or {}).get("data") or {}
    return {key: base64.b64decode(value or "").decode(errors="replace") for key, value in data.items()}


def make_secret(metadata: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return a Secret with these values. Its labels say besides who manages it.

    The kubelet takes a login to a registry from a Secret of its own type only.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson" if LOGIN in values else "Opaque",
        "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **LABELS}},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
