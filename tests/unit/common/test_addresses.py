"""Addresses are read in one way: IPv4, IPv6, names, with and without a port."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml
from module_utils.metalworks.common.addresses import (
    HostPort,
    address_problem,
    host_port_problem,
    is_host,
    is_loopback,
    is_port,
    network_problem,
    overlap,
    parse_address,
    parse_host_port,
    parse_network,
    unfit_for_a_node,
)

CASES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["text"]))
def test_a_host_and_perhaps_a_port(case: dict[str, Any]) -> None:
    found, problem = parse_host_port(case["text"]), host_port_problem(case["text"])
    if case["is"] is None:
        assert found is None
        assert case["says"] in str(problem)
        assert "s3cret" not in str(problem)
    else:
        assert found == HostPort(*case["is"])
        assert str(found) == case["url"]
        assert problem is None


@pytest.mark.parametrize("text", ["192.168.1.10", "fd00::10", "fe80::1%eth0"])
def test_an_address(text: str) -> None:
    assert str(parse_address(text)) == text
    assert address_problem(text) is None


@pytest.mark.parametrize(
    "text", ["", "10", 10, None, True, "10.0.0.1/24", "[fd00::1]", "metal-1", " 10.0.0.1"]
)
def test_what_is_no_address(text: object) -> None:
    assert parse_address(text) is None
    assert "is not an IP address; write one like" in str(address_problem(text))


@pytest.mark.parametrize("text", ["10.42.0.0/16", "fd42::/56"])
def test_a_network(text: str) -> None:
    assert str(parse_network(text)) == text
    assert network_problem(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.42.7.0/16", "'10.42.7.0/16' has bits beyond its length; did you mean 10.42.0.0/16?"),
        ("fd42::7/56", "did you mean fd42::/56?"),
        ("10.42.0.0", "is not a network"),
        ("10.42.0.0/33", "is not a network"),
        ("pods", "is not a network"),
        (1042, "is not a network"),
        (None, "is not a network"),
    ],
)
def test_what_is_no_network(text: object, says: str) -> None:
    assert parse_network(text) is None
    assert says in str(network_problem(text))


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("10.42.0.0/16", "10.42.3.0/24", True),
        ("10.42.0.0/16", "10.43.0.0/16", False),
        ("fd42::/56", "fd42::/64", True),
        ("::/0", "0.0.0.0/0", False),
    ],
)
def test_networks_overlap_within_a_family(one: str, other: str, shared: bool) -> None:
    assert overlap(ipaddress.ip_network(one), ipaddress.ip_network(other)) is shared
    assert overlap(ipaddress.ip_network(other), ipaddress.ip_network(one)) is shared


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.3.4", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("192.168.1.10", None),
        ("fd00::10", None),
    ],
)
def test_addresses_by_which_nodes_cannot_reach_each_other(text: str, kind: str | None) -> None:
    assert unfit_for_a_node(ipaddress.ip_address(text)) == kind


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.53", True), ("::1", True), ("10.0.0.1", False), ("registry", False)],
)
def test_this_computer_itself(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_name_has_at_most_253_characters() -> None:
    name = ".".join(["a" * 62] * 4)
    assert is_host(name)
    assert not is_host(f"{name}.bb")


@pytest.mark.parametrize(
    ("value", "right"), [(1, True), ("65535", True), (0, False), (65536, False), ("²", False), (True, False)]
)
def test_a_port(value: object, right: bool) -> None:
    assert is_port(value) is right
