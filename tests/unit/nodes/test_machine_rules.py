"""What keeps a machine from becoming a node is judged by what was read from it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.node.machine_rules import (
    CONTROLLERS,
    KERNEL_FEATURES,
    Facts,
    Wanted,
    problems,
)
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
    "kernel_features": list(KERNEL_FEATURES),
    "default_route": True,
    "local_addresses": ["192.0.2.1"],
    "clock_ahead_seconds": 0.4,
}
WANTED: dict[str, Any] = {
    "role": "server",
    "architecture": "amd64",
    "k3s_version": "v1.34.4+k3s1",
    "node_addresses": ["192.0.2.1"],
    "memory_mib": 1024,
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


def read(case: dict[str, Any]) -> dict[str, Any]:
    given = dict(case.get("found", {}))
    if "python" in given:
        given["python"] = tuple(given["python"])
    return given
