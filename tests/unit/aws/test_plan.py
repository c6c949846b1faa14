"""What happens to machines of AWS is decided by what AWS answered, and by the mark of the inventory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.aws.plan import (
    Found,
    Wanted,
    firewall_rules,
    host_key,
    plan,
    to_remove,
)
from tests.support.aws import CONSOLE, HOST_KEY
from tests.support.merging import merged
from tests.support.modules import cases

MARK = "ours"
WANTED = {"image": "ami-1", "instance_type": "m6i.large", "disk_gib": 80, "key_pair": ""}


def instance(name: str, mark: str = MARK, **changes: Any) -> dict[str, Any]:
    """A running machine as ec2_instance_info tells of it."""
    right = {
        "instance_id": f"i-{name}",
        "instance_type": "m6i.large",
        "image_id": "ami-1",
        "root_device_name": "/dev/sda1",
        "state": {"name": "running"},
        "tags": {"Name": name, "metalworks": "mine", "metalworks-mark": mark},
    }
    return merged(right, changes)


FOUND: dict[str, Any] = {
    "images": [{"image_id": "ami-1", "root_device_name": "/dev/sda1"}],
    "key_pairs": [{"key_name": "mine"}],
    "subnets": [
        {"subnet_id": "subnet-b", "vpc_id": "vpc-1", "availability_zone": "b", "default_for_az": True},
        {"subnet_id": "subnet-a", "vpc_id": "vpc-1", "availability_zone": "a", "default_for_az": True},
        {"subnet_id": "subnet-own", "vpc_id": "vpc-2", "availability_zone": "c", "default_for_az": False},
    ],
    "groups": [],
}


@pytest.mark.parametrize("case", cases(__file__))
def test_case(case: dict[str, Any]) -> None:
    hosts = {name: merged(WANTED, its or {}) for name, its in case.get("hosts", {"a": {}, "b": {}}).items()}
    wanted = Wanted(
        region="eu-central-1",
        mark=case.get("mark", MARK),
        hosts=hosts,
        subnet=case.get("subnet", ""),
        group_name="metalworks-mine",
    )
    instances = [instance(**its) for its in case.get("instances", [])]
    made = plan(wanted, Found(**{**FOUND, "instances": instances, **case.get("found", {})}))
    says = case.get("says", [])
    assert len(made.problems) == len(says), made.problems
    for sentence, part in zip(made.problems, says, strict=True):
        assert part in sentence
    if not says:
        assert made.launch == case.get("launch", [])
        assert made.start == case.get("start", {})
        assert (made.subnet, made.vpc) == tuple(case.get("network", ("subnet-a", "vpc-1")))


def test_only_what_has_the_mark_is_removed() -> None:
    there = [instance("a"), instance("b"), instance("c", mark="theirs"), instance("old")]
    there.append({**instance("bare"), "tags": {"Name": "bare", "metalworks": "mine"}})
    assert to_remove(MARK, ["b"], there) == {
        "remove": ["i-a", "i-old"],
        "staying": ["b"],
        "others": ["i-c", "i-bare"],
    }


def test_without_a_mark_nothing_is_removed() -> None:
    """A machine without the tag must not be taken for that of an inventory without a mark."""
    bare = {**instance("bare"), "tags": {"Name": "bare", "metalworks-mark": ""}}
    assert to_remove("", [], [bare, instance("a")])["remove"] == []


def test_firewall_lets_operators_people_and_machines_in_and_nobody_else() -> None:
    rules = firewall_rules("g", ["203.0.113.7/32", "2001:db8::/48"], ["198.51.100.0/24"], [30080], 7443)
    opened = {
        (rule.get("cidr_ip") or rule.get("cidr_ipv6") or rule["group_name"], *rule.get("ports", ["all"]))
        for rule in rules
    }
    assert opened == {
        ("g", "all"),
        ("203.0.113.7/32", "22"),
        ("203.0.113.7/32", "7443"),
        ("2001:db8::/48", "22"),
        ("2001:db8::/48", "7443"),
        ("198.51.100.0/24", "30080"),
    }
    assert [rule["cidr_ipv6"] for rule in rules if "cidr_ipv6" in rule] == ["2001:db8::/48"] * 2


@pytest.mark.parametrize(
    ("console", "key"),
    [
        (CONSOLE, HOST_KEY),
        ("", ""),
        ("[    0.000000] Linux version 6.8.0\n", ""),
        # It was read while the machine was printing.
        (CONSOLE.partition("-----END SSH HOST KEY KEYS")[0], ""),
        (CONSOLE.replace("\n", "\r\n"), HOST_KEY),
        (CONSOLE.replace(HOST_KEY, f"[   17.5] cloud-init[99]: {HOST_KEY}"), HOST_KEY),
        (CONSOLE.replace("ssh-ed25519", "ssh-rsa"), ""),
        # Two boots: the console still shows the first.
        (CONSOLE.replace("MadeUp", "Before") + CONSOLE, HOST_KEY),
    ],
    ids=["printed", "empty", "too_early", "cut", "carriage_returns", "prefixed", "other_type", "twice"],
)
def test_key_is_read_from_the_console(console: str, key: str) -> None:
    assert host_key(console) == key
