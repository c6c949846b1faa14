"""Rules for the node ports at which applications are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..jupyterhub.values import has_node_port
from .platform import Platform

ENDING = "_node_port"


def node_ports(platform: Platform) -> Iterator[str]:
    """Refuse a port outside of the cluster's range, and a port that two applications use."""
    first, last = platform.cluster.node_ports
    ports = _ports(platform)
    for name, port in ports.items():
        if not first <= port <= last:
            usual = (first, last) == (30000, 32767)
            why = "Kubernetes opens" if usual else "service-node-port-range of k3s_server_config opens"
            yield f"{name} is {port}: {why} node ports {first} to {last} only; write one of these"
        if port == platform.cluster.api_port:
            yield f"{name} is {port}, at which the API listens (https-listen-port): write another port"
    for port in dict.fromkeys(ports.values()):
        names = [name for name, its in ports.items() if its == port]
        if len(names) > 1:
            yield f"{', '.join(names)} use the same port {port}: change one"


RULES: tuple[Callable[[Platform], Iterator[str]], ...] = (node_ports,)


def _ports(platform: Platform) -> dict[str, int]:
    """Return the node ports of all installed applications, by the inputs that set them."""
    found = {}
    for role, options in platform.specs.items():
        name = f"{role}{ENDING}"
        if name in options and platform.has_part(role):
            found[name] = platform.values[name]
    if not has_node_port(platform.values["jupyterhub_values"]):
        found.pop(f"jupyterhub{ENDING}", None)
    return found
