"""Rules for the platform as a whole: its name, the source of its artifacts, and its kubeconfig."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..common.kubernetes_names import as_label, is_label
from .platform import Platform


def platform_name(platform: Platform) -> Iterator[str]:
    """Refuse a platform name that networks, machines and kubeconfig contexts cannot have."""
    name = platform.values.get("metalworks_name")
    if name is not None and not is_label(name):
        yield (
            f"metalworks_name is {name!r}: it becomes part of network and context names; write small "
            f"letters, digits and '-', like {as_label(name) or 'my-lab'} (for a lab: METALWORKS_LAB, make's "
            "LAB=)"
        )


def stand_ins(platform: Platform) -> Iterator[str]:
    """Refuse the lab's stand-ins outside of the lab, where people would take them for the real programs."""
    if platform.source == "build" and platform.kind != "lab" and not platform.values["metalworks_rehearsal"]:
        yield (
            f"metalworks_artifact_source is build on {platform.kind}: what the lab builds is a stand-in for "
            "k3s and its charts; write upstream. On what is thrown away afterwards, metalworks_rehearsal: "
            "true allows it"
        )


def agent_batch(platform: Platform) -> Iterator[str]:
    """Refuse a number of agents at a time that Ansible could not use (`serial`)."""
    value = platform.values["metalworks_agent_batch"]
    match = re.fullmatch(r"([1-9][0-9]*)(%?)", str(value))
    if match is None or (match[2] and int(match[1]) > WHOLE):
        yield (
            f"metalworks_agent_batch is {value!r}: write how many agents are changed at the same time, as a "
            "number of 1 or more, or as a percentage, like 25%"
        )


def one_connection(platform: Platform) -> Iterator[str]:
    """Refuse a kubeconfig that is set for one role only: other applications would use another cluster."""
    for name, instead in INSTEAD.items():
        if platform.gives_anywhere(name):
            yield f"{name} steers one role only, and all applications need the same: write {instead}"


WHOLE = 100  # percent
# Inputs of the role kubeconfig, whose defaults are the platform's.
INSTEAD = {"kubeconfig_path": "metalworks_kubeconfig", "kubeconfig_context": "metalworks_context"}

OPTIONAL = (stand_ins, one_connection)
