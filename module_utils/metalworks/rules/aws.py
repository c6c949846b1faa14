"""Rules for machines of AWS: what can be judged without asking AWS. The rest is in aws/plan.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..aws.plan import SSH
from ..common.addresses import network_problem, parse_network
from ..common.sentences import listed
from .platform import Platform

# eu-central-1, us-gov-west-1.
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")
IMAGE = re.compile(r"ami-[0-9a-f]{8,17}")
DEVICE = re.compile(r"/dev/(sd|xvd)[b-z]")
# The longest disk of EBS, and the smallest first disk on which the platform's images have room.
SMALLEST_DISK_GIB, LARGEST_DISK_GIB = 20, 16384


def aws_region(platform: Platform) -> Iterator[str]:
    """Refuse a missing region, and what is none."""
    for hosts, value in _values(platform, "region"):
        if not value:
            yield (
                "aws_machines_region is empty: write the region into aws_ec2.yml beside the hosts, like "
                "regions: [eu-central-1]"
            )
        elif not REGION.fullmatch(str(value)):
            yield (
                f"{listed(hosts)}: aws_machines_region is {value!r}, which is no region of AWS: write one "
                "like eu-central-1, without a zone's letter"
            )


def aws_one_for_all(platform: Platform) -> Iterator[str]:
    """Refuse different values where all machines share one thing: region, subnet, firewall."""
    for name in ("name", "region", "subnet", "operators", "people", "people_ports"):
        if len(_values(platform, name)) > 1:
            yield (
                f"aws_machines_{name} differs between hosts, and all machines have the same one: write it "
                "into group_vars/k3s_cluster, and nowhere else"
            )


def aws_image(platform: Platform) -> Iterator[str]:
    """Refuse a missing image, and what is no id of one."""
    for hosts, value in _values(platform, "image"):
        if not IMAGE.fullmatch(str(value)):
            found = f"is {value!r}" if value else "is empty"
            yield (
                f"{listed(hosts)}: aws_machines_image {found}: write the id of an image in that region, "
                "like ami-0123456789abcdef0 (docs/how-to/aws.md shows how to find Ubuntu's)"
            )


def aws_networks(platform: Platform) -> Iterator[str]:
    """Refuse machines that no operator can reach, and a port for operators that is open to the world."""
    for _, networks in _values(platform, "operators"):
        if not networks:
            yield (
                "aws_machines_operators is empty, so nobody could reach the machines by ssh: write the "
                "networks from which you come, like [203.0.113.7/32]"
            )
        for network in networks:
            if problem := network_problem(network):
                yield f"aws_machines_operators: {problem}"
            elif _is_wide(network) and not _is_open(platform):
                yield (
                    f"aws_machines_operators has {network}: it opens ssh and the API of Kubernetes to the "
                    "whole internet. Write the networks from which you come, like 203.0.113.7/32; if you "
                    "insist, add aws_machines_open_to_the_world: true"
                )
    for _, networks in _values(platform, "people"):
        for network in networks:
            if problem := network_problem(network):
                yield f"aws_machines_people: {problem}"
    for _, ports in _values(platform, "people_ports"):
        for port in ports:
            if port in (SSH, platform.cluster.api_port):
                yield (
                    f"aws_machines_people_ports has {port}, which is for operators: take it out, and "
                    "write the networks of operators as aws_machines_operators"
                )
            elif not 0 < int(port) < 65536:
                yield f"aws_machines_people_ports has {port}, which is no port: write one from 1 to 65535"


def aws_disks(platform: Platform) -> Iterator[str]:
    """Refuse disks of a size or name that AWS would not make."""
    for hosts, size in _values(platform, "disk_gib"):
        if not SMALLEST_DISK_GIB <= int(size) <= LARGEST_DISK_GIB:
            yield (
                f"{listed(hosts)}: aws_machines_disk_gib is {size}: write {SMALLEST_DISK_GIB} to "
                f"{LARGEST_DISK_GIB}; images of the platform alone take about 15"
            )
    for hosts, disks in _values(platform, "disks"):
        names = [disk["device"] for disk in disks]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield f"{listed(hosts)}: aws_machines_disks has two disks at {name}: give each its own device"
            elif not DEVICE.fullmatch(name):
                yield (
                    f"{listed(hosts)}: aws_machines_disks has the device {name!r}: write one like "
                    "/dev/sdf; the first disk is aws_machines_disk_gib"
                )


def _values(platform: Platform, name: str) -> list[tuple[list[str], Any]]:
    """Return the machines' different values of an input, each with its hosts; none for other machines.

    A required input that is missing counts as empty.
    """
    full = f"aws_machines_{name}"
    if platform.kind != "aws":
        return []
    if full not in platform.values and any(full not in its for its in platform.hosts.values()):
        return [(list(platform.hosts), "")]
    return platform.on_machines(full)


def _is_wide(network: str) -> bool:
    """Return whether a network is larger than any that somebody has: a /8, or a /16 of IPv6."""
    parsed = parse_network(network)
    return parsed is not None and parsed.prefixlen < (8 if parsed.version == 4 else 16)


def _is_open(platform: Platform) -> bool:
    return all(value for _, value in _values(platform, "open_to_the_world"))
