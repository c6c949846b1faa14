"""Filters that compare the lab's machines with the inventory: which differ, and which are to be removed.

Their first argument is the result of community.docker.docker_host_info.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

LAB = "metalworks"  # the label with the lab's name
SETTINGS = "metalworks.settings"  # the label with the settings that a machine was made with, as JSON


def lab_machine(docker: Mapping[str, Any], container: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a machine `exists` and `runs`, and in which settings it differs (`differences`).

    A setting that an older machine does not know counts as equal. A container of this name
    without settings is somebody else's, and differs in all.
    """
    for each in docker["containers"]:
        if f"/{container}" in each["Names"]:
            found = _settings(each)
            compared = [name for name in wanted if name in found] if found else list(wanted)
            differences = [name for name in compared if found.get(name) != wanted[name]]
            return {"exists": True, "runs": each.get("State") == "running", "differences": differences}
    return {"exists": False, "runs": False, "differences": []}


def lab_survey(
    docker: Mapping[str, Any], lab: str, checkout: str, absent: Iterable[str]
) -> dict[str, list[str]]:
    """Return facts about the lab as a whole.

    - `elsewhere`: folders of other checkouts that made machines of this lab. A machine whose label has no
      folder counts as ours.
    - `staying`: machines of hosts that are in the inventory and not in the play (`absent`).
    - `containers`, `volumes`: those to remove, which are all others.
    """
    machines = [each for each in docker["containers"] if (each.get("Labels") or {}).get(LAB) == lab]
    names = [each["Names"][0].lstrip("/") for each in machines]
    folders = {_settings(each).get("checkout", checkout) for each in machines}
    staying = [f"{lab}-{host}" for host in absent if f"{lab}-{host}" in names]
    kept = {f"{name}-data" for name in staying}
    return {
        "elsewhere": sorted(folders - {checkout}),
        "staying": staying,
        "containers": [name for name in names if name not in staying],
        "volumes": [each["Name"] for each in docker["volumes"] if each["Name"] not in kept],
    }


def _settings(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a container was made with; none if it has no such label."""
    found: dict[str, Any] = json.loads((container.get("Labels") or {}).get(SETTINGS) or "{}")
    return found


def lab_interfaces(networks: Iterable[Mapping[str, Any]], name: str, address: str) -> list[dict[str, str]]:
    """Return a machine's networks in the form of docker_container.

    The lab's own is first and becomes eth0.
    """
    own = {"name": name, "ipv4_address": address}
    return [own, *({"name": each["name"], "ipv4_address": each["address"]} for each in networks)]


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {
            "lab_machine": lab_machine,
            "lab_survey": lab_survey,
            "lab_interfaces": lab_interfaces,
        }
