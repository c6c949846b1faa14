"""A node of a cluster, read from its object in the API. Runs on nodes, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ROLE_LABEL = "node-role.kubernetes.io/"


@dataclass(frozen=True)
class Node:
    """A node as the API describes it."""

    name: str
    ready: bool
    roles: list[str] = field(default_factory=list)
    version: str = ""  # of its kubelet
    internal_ip: str = ""
    external_ip: str = ""
    architecture: str = ""
    cordoned: bool = False  # takes no new pods
    taints: tuple[Mapping[str, str], ...] = ()  # each with key, value and effect, as the API gives them
    conditions: list[dict[str, str]] = field(default_factory=list)
    heard: float = 0.0  # when the kubelet last reported, in seconds of the node's own clock

    @property
    def address(self) -> str:
        """Return the address at which the node is reached from outside of the cluster."""
        return self.external_ip or self.internal_ip


def parse_node(item: Mapping[str, Any]) -> Node:
    """Return a node from the API's object of kind Node; of several addresses of a kind the first counts."""
    metadata, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    addresses = {each["type"]: each["address"] for each in reversed(status.get("addresses", []))}
    info, ready = status.get("nodeInfo", {}), conditions.get("Ready", {})
    labels = metadata.get("labels", {})
    return Node(
        name=metadata["name"],
        ready=ready.get("status") == "True",
        roles=sorted(label[len(ROLE_LABEL) :] for label in labels if label.startswith(ROLE_LABEL)),
        version=info.get("kubeletVersion", ""),
        internal_ip=addresses.get("InternalIP", ""),
        external_ip=addresses.get("ExternalIP", ""),
        architecture=info.get("architecture", ""),
        cordoned=bool(spec.get("unschedulable")),
        taints=tuple(spec.get("taints") or ()),
        conditions=[
            {key: str(each.get(key, "")) for key in ("type", "status", "reason", "message")}
            for each in conditions.values()
        ],
        heard=_seconds(ready.get("lastHeartbeatTime")),
    )


def _seconds(time: str | None) -> float:
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp() if time else 0.0
