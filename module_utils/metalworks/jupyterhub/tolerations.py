"""Which nodes the pods of a hub take, for the values that an operator gives to its chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .values import value_at

# The taints that the pods of zero-to-jupyterhub tolerate by themselves: scheduling.corePods.tolerations and
# scheduling.userPods.tolerations in its values.yaml.
DEDICATED_KEYS = ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")


def jupyterhub_tolerations(values: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return which taints the pods of a hub tolerate, for the values that an operator gives to its chart."""

    def given(path: str) -> list[Mapping[str, Any]] | None:
        found = value_at(values, path)
        return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else None

    def of_all(kind: str, value: str) -> list[Mapping[str, Any]]:
        found = given(f"scheduling.{kind}.tolerations")
        own: list[Mapping[str, Any]] = [
            {"key": key, "value": value, "effect": "NoSchedule"} for key in DEDICATED_KEYS
        ]
        return own if found is None else found

    core = of_all("corePods", "core")
    return {
        "the hub": [*core, *(given("hub.tolerations") or [])],
        "the proxy": [*core, *(given("proxy.chp.tolerations") or [])],
        "the users' servers": [
            *of_all("userPods", "user"),
            *(given("singleuser.extraTolerations") or []),
        ],
    }


def jupyterhub_selectors(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return which labels the pods of a hub need on their nodes, {pods: labels}.

    matchNodePurpose asks for a label, if it is `require` (values.schema.yaml of zero-to-jupyterhub).
    """
    found = {}
    for pods, path, kind, purpose in (
        ("the hub", "hub.nodeSelector", "corePods", "core"),
        ("the proxy", "proxy.chp.nodeSelector", "corePods", "core"),
        ("the users' servers", "singleuser.nodeSelector", "userPods", "user"),
    ):
        own = value_at(values, path)
        required = value_at(values, f"scheduling.{kind}.nodeAffinity.matchNodePurpose") == "require"
        found[pods] = {
            **({str(key): str(value) for key, value in own.items()} if isinstance(own, Mapping) else {}),
            **({"hub.jupyter.org/node-purpose": purpose} if required else {}),
        }
    return found
