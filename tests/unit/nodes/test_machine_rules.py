"""What keeps a machine from becoming a node is judged by what was read from it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.node.machine_rules import (
    CONTROLLERS,
    MODULES,
    NAMES,
    RULES,
    Facts,
    Wanted,
    module_package,
    notes,
    problems,
)
from ansible.module_utils.metalworks.rules.judge import RULES as INVENTORY_RULES
from tests.support.modules import cases

GOOD: dict[str, Any] = {
    "hostname": "metal-1",
    "machine_id": "0123456789abcdef0123456789abcdef",
    "architecture": "x86_64",
    "python": (3, 11),
    "memory_mib": 2048,
    "disk_free_gib": 40.0,
    "disk_path": "/var/lib",
    "systemd": True,
    "controllers": CONTROLLERS,
    "kernel_modules": [*MODULES, "vxlan"],
    "default_route": True,
    "local_addresses": ["192.0.2.1"],
    "clock_ahead_seconds": 0.4,
}
WANTED: dict[str, Any] = {
    "role": "server",
    "architecture": "amd64",
    "k3s_version": "v1.34.4+k3s1",
    "node_addresses": ["192.0.2.1"],
    "disk_gib": 10.0,
    "clock_tolerance_seconds": 30.0,
}


@pytest.mark.parametrize("case", cases(__file__))
def test_problems(case: dict[str, Any]) -> None:
    found = problems(Wanted(**WANTED | case.get("wanted", {})), Facts(**GOOD | read(case)))
    expected = case.get("says", [])
    assert len(found) == len(expected), found
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence


def test_a_sentence_ends_with_the_name_of_its_rule_and_the_rule_can_be_left_out() -> None:
    alone = {"default_route": False, "cpus": 1}
    cpus, route = problems(Wanted(**WANTED), Facts(**GOOD | alone))
    assert route.endswith(" [default_route]")
    assert cpus.endswith(" [processors]")
    assert problems(Wanted(**WANTED), Facts(**GOOD | alone), ["default_route"]) == [cpus]
    assert problems(Wanted(**WANTED), Facts(**GOOD | alone), [*NAMES]) == []


def test_no_rule_of_a_machine_has_the_name_of_one_for_inventories() -> None:
    assert not set(NAMES) & set(INVENTORY_RULES)
    assert len(NAMES) == len(set(NAMES))
    assert all(rule.__doc__ for rule in RULES.values())


def read(case: dict[str, Any]) -> dict[str, Any]:
    given = dict(case.get("found", {}))
    if "python" in given:
        given["python"] = tuple(given["python"])
    return given


@pytest.mark.parametrize(
    ("os_release", "kernel", "package"),
    [
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "5.15.0-1061-raspi", "linux-modules-extra-raspi"),
        ({"ID": "ubuntu"}, "6.8.0-51-generic", "linux-modules-extra-6.8.0-51-generic"),
        ({"ID": "almalinux", "ID_LIKE": "rhel centos fedora"}, "6.12.0", "kernel-modules-extra"),
        ({"ID": "fedora"}, "6.12.0", "kernel-modules-extra"),
        ({"ID": "debian"}, "6.12.0", "the distribution's full kernel"),
        ({}, "", "the distribution's full kernel"),
    ],
)
def test_package_of_missing_modules(os_release: dict[str, str], kernel: str, package: str) -> None:
    assert module_package(os_release, kernel).startswith(package)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, []),
        ({"swap": True}, ["Its swap is on"]),
        ({"resolvers_usable": False}, ["8.8.8.8 instead"]),
        ({"resolvers_usable": False, "fallback_answers": False}, []),
    ],
)
def test_notes(found: dict[str, Any], said: list[str]) -> None:
    given = notes(Wanted(**WANTED), Facts(**GOOD | found))
    assert len(given) == len(said)
    assert all(part in note for part, note in zip(said, given, strict=True))


def test_swap_that_the_role_turns_off_is_no_note() -> None:
    assert notes(Wanted(**WANTED, swap_off=True), Facts(**GOOD | {"swap": True})) == []
