"""Parts of NetworkPolicies that the objects of several parts have."""

from __future__ import annotations

from typing import Any


def in_namespace(name: str) -> dict[str, Any]:
    """Return the peer that is all pods of a namespace, by the label that Kubernetes gives to each of them."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
