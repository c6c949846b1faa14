"""Filters for roles/aws_machines: what to make, what to remove, and what to let in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.aws.plan import Found, Wanted, firewall_rules, plan, to_remove


def aws_hosts(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the inventory says of each machine, by its name."""
    return {host: hostvars[host]["__aws_machines_said"] for host in hosts}


def aws_plan(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan for what AWS has, as a dictionary; keys are those of aws/plan.py."""
    return asdict(plan(Wanted(**wanted), Found(**found)))


def aws_removal(
    instances: Sequence[Mapping[str, Any]], mark: str, staying: Sequence[str]
) -> dict[str, list[str]]:
    """Return the ids of machines to `remove`, names of ours that are `staying`, and ids of `others`."""
    found: dict[str, list[str]] = to_remove(mark, staying, instances)
    return found


def aws_firewall_rules(
    group_name: str,
    operators: Sequence[str],
    people: Sequence[str],
    people_ports: Sequence[int],
    api_port: int,
) -> list[dict[str, Any]]:
    """Return the rules of the machines' security group."""
    rules: list[dict[str, Any]] = firewall_rules(group_name, operators, people, people_ports, api_port)
    return rules


def aws_disk(disk: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of aws_machines_disks as amazon.aws.ec2_instance takes it."""
    return {
        "device_name": disk["device"],
        "ebs": {
            "volume_size": disk["size_gib"],
            "volume_type": disk.get("type") or "gp3",
            "encrypted": True,
            "delete_on_termination": True,
        },
    }


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that the role uses."""
        return {
            "aws_hosts": aws_hosts,
            "aws_plan": aws_plan,
            "aws_removal": aws_removal,
            "aws_disk": aws_disk,
            "aws_firewall_rules": aws_firewall_rules,
        }
