"""Inventories of one page, and what the rules of preflight see of them without Ansible."""

from __future__ import annotations

from functools import cache
from typing import Any

from ansible.module_utils.metalworks.rules.platform import LOCALHOST, Platform
from module_utils.metalworks.common.yaml_text import read_yaml
from plugins.action.preflight_inventory import read_entries, read_specs, role_files

# What the templates of these defaults come to where an inventory gives nothing that is in them, and another
# kubeconfig than that of whoever runs the tests.
RESOLVED = {
    "object_store_shared_writers": [],
    "mlflow_artifacts": "s3://mlflow/artifacts",
    "metalworks_kubeconfig": "/nonexistent/kubeconfig",
}


@cache
def defaults() -> dict[str, Any]:
    """The defaults of all roles; their templates stay as they are."""
    found: dict[str, Any] = {}
    for path in role_files("defaults/main.yml"):
        found.update(read_yaml(path.read_text()) or {})
    return found


@cache
def specs() -> dict[str, dict[str, Any]]:
    """The options of all roles."""
    return read_specs()


@cache
def entries() -> dict[str, Any]:
    """The entries of artifacts.yml."""
    return read_entries()


def platform(
    hosts: dict[str, dict[str, Any]],
    variables: dict[str, Any],
    members: list[str] | None = None,
    routes: list[str] | None = None,
    missing_programs: list[str] | None = None,
) -> Platform:
    """The platform of an inventory: {group: {host: variables}}, and the variables of all hosts.

    `members` are the hosts of k3s_cluster, by default all of them. The parts are those that the variables
    name, by default the hub: without Ansible the templates in the defaults of the others have no value.
    """
    own: dict[str, dict[str, Any]] = {}
    for group in hosts.values():
        for host, its in group.items():
            own.setdefault(host, {}).update(its or {})
    machines = {host: {**variables, **its} for host, its in own.items()}
    return Platform(
        values={**defaults(), **RESOLVED, "metalworks_parts": ["jupyterhub"], **variables},
        hosts=machines,
        groups={
            **{group: list(each) for group, each in hosts.items()},
            "k3s_cluster": list(own if members is None else members),
        },
        given={LOCALHOST: variables, **machines},
        specs=specs(),
        entries=entries(),
        routes=routes or [],
        missing_programs=missing_programs or [],
    )
