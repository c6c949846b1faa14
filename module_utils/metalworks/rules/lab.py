"""Rules for the lab: its network is free on this computer, and its machines are in it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ..common.addresses import Network, is_host, overlap, parse_address, parse_network
from .platform import Platform


def lab_subnet(platform: Platform) -> Iterator[str]:
    """Refuse a subnet that is no network, or to which this computer has a route already."""
    text, subnet = _subnet(platform)
    if text and subnet is None:
        yield f"lab_machines_subnet is {text!r}: write a network like 172.30.7.0/24"
    for route in platform.routes if subnet else ():
        taken = ipaddress.ip_network(route)
        # As soon as the lab's network exists, there is a route to it.
        if subnet and taken != subnet and taken.prefixlen > 0 and overlap(taken, subnet):
            yield (
                f"lab_machines_subnet {subnet} overlaps {taken}, to which this computer has a route already; "
                "choose a network that is free (METALWORKS_LAB_SUBNET for the lab)"
            )


def lab_addresses(platform: Platform) -> Iterator[str]:
    """Refuse machines whose addresses are outside of the lab's network."""
    _, subnet = _subnet(platform)
    for node in platform.nodes if subnet else ():
        address = parse_address(node.reached_at)
        if address is None and is_host(node.reached_at):
            yield (
                f"host {node.host}: ansible_host {node.reached_at!r} is not an IP address; write one of "
                f"{subnet}"
            )
        elif subnet and address and address not in subnet:
            yield (
                f"host {node.host}: ansible_host {address} is outside of lab_machines_subnet {subnet}; write "
                "one of that network"
            )


def _subnet(platform: Platform) -> tuple[str, Network | None]:
    """Return the lab's subnet as text and as a network; empty and None for other machines."""
    if platform.kind != "lab":
        return "", None
    given = [
        variables["lab_machines_subnet"]
        for variables in platform.hosts.values()
        if "lab_machines_subnet" in variables
    ]
    text = str(given[0]) if given else ""
    return text, parse_network(text)
