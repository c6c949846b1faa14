"""What has to happen to the machines of AWS, and why not: pure decisions on what AWS answered.

The answers are those of amazon.aws's `_info` modules, with their names in small letters. The tags:

- `metalworks`: the platform's name, by which the inventory finds its machines;
- `metalworks-group`: the group of the inventory;
- `metalworks-mark`: a random text that only the inventory which made a thing knows. Names can be taken by
  others, so that only the mark decides what is changed or removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.sentences import listed

NAME, PLATFORM, GROUP, MARK = "Name", "metalworks", "metalworks-group", "metalworks-mark"
READY = ("pending", "running")
SSH = 22

Answer = Mapping[str, Any]
Hosts = Mapping[str, Mapping[str, Any]]  # by name: image, instance_type, disk_gib, key_pair


@dataclass(frozen=True)
class Wanted:
    """The machines as the inventory has them."""

    region: str
    mark: str  # empty if this inventory has made nothing yet
    hosts: Hosts
    subnet: str = ""
    group_name: str = ""


@dataclass(frozen=True)
class Found:
    """What AWS has: instances of the platform's name, and what the inventory names."""

    instances: Sequence[Answer] = ()
    volumes: Sequence[Answer] = ()
    images: Sequence[Answer] = ()
    key_pairs: Sequence[Answer] = ()
    subnets: Sequence[Answer] = ()
    groups: Sequence[Answer] = ()


@dataclass
class Plan:
    """What to do. With problems, nothing."""

    problems: list[str] = field(default_factory=list)
    subnet: str = ""
    vpc: str = ""
    root_devices: dict[str, str] = field(default_factory=dict)  # by image
    launch: list[str] = field(default_factory=list)  # hosts without a machine
    start: dict[str, str] = field(default_factory=dict)  # stopped machines' ids by host


def plan(wanted: Wanted, found: Found) -> Plan:
    """Return what is to be launched and started, or the sentences that say why nothing is."""
    made = Plan()
    about_machines: list[str] = []
    for host, its in wanted.hosts.items():
        same_name = [each for each in found.instances if (each.get("tags") or {}).get(NAME) == host]
        others, ours = _by_mark(same_name, wanted.mark)
        if others:
            about_machines.append(_foreign(host, others))
        elif len(ours) > 1:
            about_machines.append(
                f"host {host}: this inventory has {len(ours)} machines of that name "
                f"({', '.join(_ids(ours))}): terminate all but one"
            )
        elif not ours:
            made.launch.append(host)
        else:
            about_machines += _differences(host, its, ours[0], found)
            state = _state(ours[0])
            if state == "stopped":
                made.start[host] = ours[0]["instance_id"]
            elif state not in READY:
                about_machines.append(
                    f"host {host}: its machine {ours[0]['instance_id']} is {state}: wait until it is "
                    "stopped, and run again"
                )
    # A machine that is there needs neither its image nor its key pair, which may be gone by now.
    missing = {host: wanted.hosts[host] for host in made.launch}
    made.root_devices = {each["image_id"]: each["root_device_name"] for each in found.images}
    made.problems += [*_image_problems(missing, wanted, found), *_key_problems(missing, wanted, found)]
    subnet = chosen_subnet(wanted, found)
    if subnet is None:
        made.problems.append(_subnet_problem(wanted))
    else:
        made.subnet, made.vpc = subnet["subnet_id"], subnet["vpc_id"]
        made.problems += _group_problems(wanted, found, made.vpc)
    made.problems += about_machines
    return made


def chosen_subnet(wanted: Wanted, found: Found) -> Answer | None:
    """Return the named subnet, or the default one of the first zone, so that all machines are in one zone."""
    fit = [
        each
        for each in found.subnets
        if (each["subnet_id"] == wanted.subnet if wanted.subnet else each.get("default_for_az"))
    ]
    return min(fit, key=lambda each: (each["availability_zone"], each["subnet_id"]), default=None)


def to_remove(mark: str, staying: Sequence[str], instances: Sequence[Answer]) -> dict[str, list[str]]:
    """Return the ids of machines to remove, and the names of ours and of others that stay.

    `staying` are hosts of the inventory that are not in the play.
    """
    others, ours = _by_mark(instances, mark)
    kept = [each for each in ours if each["tags"].get(NAME) in staying]
    return {
        "remove": [each["instance_id"] for each in ours if each not in kept],
        "staying": [each["tags"][NAME] for each in kept],
        "others": _ids(others),
    }


def firewall_rules(
    group_name: str,
    operators: Sequence[str],
    people: Sequence[str],
    people_ports: Sequence[int],
    api_port: int,
) -> list[dict[str, Any]]:
    """Return the rules of the security group, as amazon.aws.ec2_security_group takes them.

    The machines reach each other at all ports: which ones they need is known to k3s and to what runs in it.
    """
    rules: list[dict[str, Any]] = [
        {"proto": "all", "group_name": group_name, "rule_desc": "The machines among each other"}
    ]
    for networks, ports, purpose in (
        (operators, (SSH, api_port), "Operators"),
        (people, people_ports, "People"),
    ):
        for network in networks:
            family = "cidr_ipv6" if ":" in network else "cidr_ip"
            rules += [
                {"proto": "tcp", "ports": [str(port)], family: network, "rule_desc": purpose}
                for port in ports
            ]
    return rules


def host_key(console: str) -> str:
    """Return the ed25519 public key (type and key) that cloud-init printed to a console; empty if none.

    The last block counts: a console keeps what an earlier boot printed.
    """
    # cloud-init prints them between these lines (tools/write-ssh-key-fingerprints).
    _, begun, rest = console.rpartition("-----BEGIN SSH HOST KEY KEYS-----")
    block, ended, _ = rest.partition("-----END SSH HOST KEY KEYS-----")
    for line in block.splitlines() if begun and ended else ():
        words = line.split()
        if "ssh-ed25519" in words[:-1]:  # a kernel may print its time before a line
            place = words.index("ssh-ed25519")
            return " ".join(words[place : place + 2])
    return ""


# Why nothing is done.


def _image_problems(hosts: Hosts, wanted: Wanted, found: Found) -> Iterator[str]:
    known = {each["image_id"] for each in found.images}
    for image in dict.fromkeys(its["image"] for its in hosts.values()):
        if image not in known:
            with_it = [host for host, its in hosts.items() if its["image"] == image]
            yield (
                f"{listed(with_it)}: there is no image {image} in {wanted.region} that this account may "
                "use. Each region has ids of its own: write one of this region as aws_machines_image "
                "(docs/how-to/aws.md shows how to find it)"
            )


def _key_problems(hosts: Hosts, wanted: Wanted, found: Found) -> Iterator[str]:
    known = {each["key_name"] for each in found.key_pairs}
    for name in dict.fromkeys(its["key_pair"] for its in hosts.values()):
        if name and name not in known:
            yield (
                f"there is no key pair {name} in {wanted.region}: write the name of one that is there as "
                "aws_machines_key_pair, or leave it out, because Ansible uses a key of its own"
            )


def _subnet_problem(wanted: Wanted) -> str:
    if wanted.subnet:
        return (
            f"there is no subnet {wanted.subnet} in {wanted.region}: write the id of one that is there as "
            "aws_machines_subnet"
        )
    return (
        f"{wanted.region} has no default subnet in this account: write the id of a subnet as "
        "aws_machines_subnet"
    )


def _group_problems(wanted: Wanted, found: Found, vpc: str) -> Iterator[str]:
    for each in found.groups:
        is_it = each["group_name"] == wanted.group_name and each["vpc_id"] == vpc
        if is_it and not _is_ours(each, wanted.mark):
            yield (
                f"there is a security group {wanted.group_name} ({each['group_id']}) already, which "
                "this inventory did not make. Give the platform another name (tag:metalworks in "
                "aws_ec2.yml)"
            )


def _foreign(host: str, others: Sequence[Answer]) -> str:
    return (
        f"host {host}: the platform has a machine of that name ({', '.join(_ids(others))}), which this "
        "inventory did not make. If another folder or person made it, give this platform another name "
        "(tag:metalworks in aws_ec2.yml). For machines that you made by other means, write "
        "metalworks_machines: metal"
    )


def _differences(host: str, its: Mapping[str, Any], instance: Answer, found: Found) -> Iterator[str]:
    """Yield in what a machine differs from the inventory. It holds data, so it is not replaced silently."""
    seen = [
        ("instance type", instance["instance_type"], its["instance_type"], "aws_machines_instance_type"),
        ("image", instance["image_id"], its["image"], "aws_machines_image"),
    ]
    size = _root_size(instance, found)
    if size is not None:
        seen.append(("first disk in GiB", size, int(its["disk_gib"]), "aws_machines_disk_gib"))
    for what, is_now, should_be, name in seen:
        if is_now != should_be:
            yield (
                f"host {host}: its machine {instance['instance_id']} has the {what} {is_now}, and the "
                f"inventory says {should_be}. It holds data and is not changed: write {is_now} as {name} "
                "of this host, or change the machine at AWS yourself, and run again"
            )


def _root_size(instance: Answer, found: Found) -> int | None:
    for volume in found.volumes:
        for place in _attachments(volume):
            if place.get("instance_id") == instance["instance_id"] and (
                place.get("device") == instance["root_device_name"]
            ):
                return int(volume["size"])
    return None


def _attachments(volume: Answer) -> list[Answer]:
    """Return where a volume is attached; the module returns one attachment or several."""
    found = volume.get("attachment_set") or []
    return [found] if isinstance(found, Mapping) else list(found)


def _by_mark(instances: Sequence[Answer], mark: str) -> tuple[list[Answer], list[Answer]]:
    """Return the machines of others, and those with this inventory's mark."""
    ours = [each for each in instances if _is_ours(each, mark)]
    return [each for each in instances if each not in ours], ours


def _is_ours(thing: Answer, mark: str) -> bool:
    return bool(mark) and (thing.get("tags") or {}).get(MARK) == mark


def _ids(instances: Sequence[Answer]) -> list[str]:
    return [each["instance_id"] for each in instances]


def _state(instance: Answer) -> str:
    return str(instance["state"]["name"])
