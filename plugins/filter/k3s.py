"""Filters that hand the decisions about k3s to roles and playbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError
from ansible.vars.hostvars import HostVars, HostVarsVars

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.k3s.registries import with_own
from ansible.module_utils.metalworks.k3s.wanted import by_data, peers, wanted_cluster

GROUPS = ("k3s_server", "k3s_agent", "k3s_cluster")


def k3s_cluster(
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Any],
    own: Mapping[str, Any] | None = None,
    states: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return as data the cluster that the inventory describes, with what the roles write for each host.

    `own` are inputs of roles that override the inventory's, {host: {variable: value}}. A fault in the
    configuration of such a host is an error. `states` are the results of a loop over k3s_cluster_info.
    """
    members = {host for name in GROUPS for host in groups.get(name, ())}
    variables = {host: _variables(hostvars, host) for host in members}
    cluster = wanted_cluster(groups, variables, own, {answer["item"]: answer for answer in states})
    faults = [f"host {host}: {fault}" for host in own or {} for fault in cluster.nodes[host].faults]
    if faults:
        raise AnsibleFilterError("; ".join(faults))
    nodes = {
        host: {**asdict(node), "address": node.address, "peers": peers(cluster, host)}
        for host, node in cluster.nodes.items()
    }
    return {**asdict(cluster), "nodes": nodes}


def _variables(hostvars: Any, host: str) -> Any:
    """Return a host's variables, whose templates may ask for those of other hosts.

    Through Ansible's own hostvars, the name `hostvars` in a host's template is undefined.
    """
    if not isinstance(hostvars, HostVars):
        return hostvars[host]
    raw = {**hostvars.raw_get(host), "hostvars": hostvars}
    return HostVarsVars(raw, loader=hostvars._loader, host=host)


def k3s_server_order(servers: Sequence[str], hostvars: Mapping[str, Any], name: str) -> list[str]:
    """Return the servers in the order in which they are run; the variable `name` holds the state of each."""
    found = {host: hostvars[host] for host in servers if host in hostvars}
    order: list[str] = by_data(servers, {host: its[name] for host, its in found.items() if name in its})
    return order


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that playbooks use."""
        return {
            "k3s_cluster": k3s_cluster,
            "k3s_server_order": k3s_server_order,
            "with_own_registry": with_own,
        }
