"""Filters for roles/preflight, tasks/reach.yml.

What each machine tries to reach, and what the results mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.node.machine_rules import REACH

Variables = Mapping[str, Any]
Spot = Mapping[str, Any]

NO_ROUTE = "no route"
# How to open each firewall for a source.
LET_IN = {
    "ufw": "`ufw allow from {source}`",
    "firewalld": "`firewall-cmd --permanent --zone=trusted --add-source={source}`",
    "": "`ip saddr {source} accept`, in the chain with the hook input, where nftables is the firewall",
}
OTHERWISE = "where its own rules let that in, a router or a cloud's rules between the machines keep it out"


def reach_targets(hosts: Iterable[str], hostvars: Variables, me: str) -> dict[str, list[Spot]]:
    """Return what a machine has to try: `others`, the ports of other machines, and `pods`, its own as a pod.

    Left out are ports of servers that an agent does not need, addresses of a family that the machine does not
    have, and datagrams to a port of a running program, which would not answer.
    """
    looks = _looks(hosts, hostvars)
    if me not in looks:
        return {"others": [], "pods": []}
    mine = looks[me]
    families = {_is_ipv6(spot) for spot in mine["spots"]}
    others = [
        {"host": host, **spot}
        for host, its in looks.items()
        for spot in its["spots"]
        if host != me
        and (mine["role"] == "server" or not spot["servers_only"])
        and _is_ipv6(spot) in families
        and not (spot["held"] and spot["protocol"] == "udp")
    ]
    pods = [spot for spot in mine["spots"] if spot["pods"] and not _is_ipv6(spot)]
    return {"others": others, "pods": pods}


def reach_problems(
    hosts: Sequence[str], hostvars: Variables, pod_network: str, skip: Collection[str] = ()
) -> list[str]:
    """Return sentences: what cannot be reached from where, and what to do. Rules in `skip` do not judge."""
    if REACH in skip:
        return []
    looks = _looks(hosts, hostvars)
    tried = {host: hostvars[host].get("__preflight_tried") or {} for host in hosts}
    lived = {host for host in looks if _listened_to_the_end(looks[host], hostvars[host])}
    sentences: list[str] = []
    for host, its in looks.items():
        closed: dict[str, list[Spot]] = {}
        for source in hosts:
            spots = [spot for spot in tried[source].get("closed", ()) if spot["host"] == host]
            sentences += _without_a_route(source, host, spots)
            for spot in spots:
                if spot["how"] != NO_ROUTE and (host in lived or spot["held"]):
                    closed.setdefault(_address(looks[source], _is_ipv6(spot)), []).append(spot)
        to_pods = [spot for spot in tried[host].get("closed_to_pods", ()) if host in lived or spot["held"]]
        if to_pods:
            closed[pod_network] = to_pods
        names = {_address(looks[each], ipv6): each for each in looks for ipv6 in (False, True)}
        sentences += _closed(host, closed, {**names, pod_network: "pods"}, its["firewall"])
    return [f"{sentence} [{REACH}]" for sentence in sentences]


def _closed(
    host: str, closed: Mapping[str, Sequence[Spot]], names: Mapping[str, str], firewall: str
) -> Iterator[str]:
    """Yield one sentence for all sources that cannot reach the same ports."""
    by_ports: dict[tuple[str, ...], list[str]] = {}
    for source, spots in closed.items():
        ports = sorted({(spot["number"], spot["protocol"]) for spot in spots})
        by_ports.setdefault(tuple(f"{number}/{protocol}" for number, protocol in ports), []).append(source)
    for numbers, sources in by_ports.items():
        who = ", ".join(f"{names[source]} ({source})" for source in sources)
        remedies = [LET_IN[firewall].format(source=source) for source in sources]
        if firewall == "firewalld":
            remedies.append("`firewall-cmd --reload`")
        beyond = "" if all(names[source] == "pods" for source in sources) else f"; {OTHERWISE}"
        yield (
            f"host {host}: its ports {', '.join(numbers)} cannot be reached by {who}: let them in with "
            f"{', '.join(remedies)}{beyond}"
        )


def _without_a_route(source: str, host: str, spots: Iterable[Spot]) -> Iterator[str]:
    for address in dict.fromkeys(spot["address"] for spot in spots if spot["how"] == NO_ROUTE):
        yield (
            f"host {source}: it has no route to {address} of {host}: give it one, or write node-ip addresses "
            "of a network that both are in"
        )


def _looks(hosts: Iterable[str], hostvars: Variables) -> dict[str, Any]:
    """Return the results of preflight_machine by host; a machine that did not answer has none."""
    looks = {host: (hostvars[host].get("__preflight_look") or {}).get("reach") for host in hosts}
    return {host: look for host, look in looks.items() if look}


def _listened_to_the_end(look: Variables, variables: Variables) -> bool:
    """Return whether the listening process ran until it was stopped.

    If not, a missing answer means nothing.
    """
    ended = variables.get("__preflight_ended") or {}
    return not look["key"] or look["key"] == ended.get("key")


def _address(look: Variables, ipv6: bool) -> str:
    return next((str(spot["address"]) for spot in look["spots"] if _is_ipv6(spot) == ipv6), "")


def _is_ipv6(spot: Spot) -> bool:
    return ":" in spot["address"]


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that the role uses."""
        return {"reach_targets": reach_targets, "reach_problems": reach_problems}
