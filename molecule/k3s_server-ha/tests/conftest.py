"""When each server last started and when it was ready, on the clock that all machines of the lab share."""

from __future__ import annotations

from typing import Any

import pytest
import testinfra


@pytest.fixture(scope="module")
def starts(request: pytest.FixtureRequest) -> dict[str, tuple[int, int]]:
    inventory = request.config.option.ansible_inventory
    found: dict[str, tuple[int, int]] = {}
    for host in testinfra.get_hosts(["ansible://k3s_server"], ansible_inventory=inventory):
        found[host.backend.get_hostname()] = span(host)
    assert len(found) == 3
    return found


def span(host: Any) -> tuple[int, int]:
    properties = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    begun, ready = (
        int(host.check_output(f"systemctl show --property {name} --value k3s")) for name in properties
    )
    return begun, ready
