"""Rules for the node ports at which applications are reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..jupyterhub.values import has_node_port
from ..k3s.keys import KUBELET_PORT, REGISTRY_PORT
from ..node import reach
from .platform import Platform

ENDING = "_node_port"
LISTENERS = {
    2379: "etcd listens",
    2380: "etcd listens",
    REGISTRY_PORT: "the embedded registry listens",
    KUBELET_PORT: "the kubelet listens",
}


def node_ports(platform: Platform) -> Iterator[str]:
    """Refuse a port outside of the cluster's range, one at which a node listens, and one that two use."""
    first, last = platform.cluster.node_ports
    ports, taken = _ports(platform), _taken(platform)
    for name, port in ports.items():
        if not first <= port <= last:
            usual = (first, last) == (30000, 32767)
            why = "Kubernetes opens" if usual else "service-node-port-range of k3s_server_config opens"
            yield f"{name} is {port}: {why} node ports {first} to {last} only; write one of these"
        if port in taken:
            yield f"{name} is {port}, at which {taken[port]}: write another port"
    for port in dict.fromkeys(ports.values()):
        names = [name for name, its in ports.items() if its == port]
        if len(names) > 1:
            yield f"{', '.join(names)} use the same port {port}: change one"


def api_port(platform: Platform) -> Iterator[str]:
    """Refuse a port of the API at which, or at the next one, sshd listens on a server."""
    port = platform.cluster.api_port
    for host in platform.cluster.servers:
        ssh = _ssh_port(platform.hosts[host])
        if ssh in (port, port + 1):
            yield (
                f"host {host}: https-listen-port is {port}, and k3s listens there and at {port + 1}, but ssh "
                f"has {ssh}: write another port"
            )


def _taken(platform: Platform) -> dict[int, str]:
    """Return the ports at which nodes listen, each with who it is.

    Kubernetes leads a node port to pods at every address of every node, also where a program of the node
    listens. So the program would not be reached any more.
    """
    cluster = platform.cluster
    found = {
        _ssh_port(platform.hosts[node.host]): "ssh listens, through which Ansible reaches the machines"
        for node in platform.nodes
    }
    for node in platform.nodes:
        registry = node.config.get("embedded-registry") is True
        listening = reach.ports(node.role, cluster.datastore == "etcd", "", registry, cluster.api_port)
        found.update({port.number: LISTENERS.get(port.number, "k3s listens") for port in listening})
    return {
        **found,
        cluster.api_port: "the API listens (https-listen-port)",
        cluster.api_port + 1: "the API server itself listens (the port after https-listen-port)",
    }


def _ssh_port(variables: Mapping[str, Any]) -> int:
    port = str(variables.get("ansible_port", ""))
    return int(port) if port.isdecimal() else 22


def _ports(platform: Platform) -> dict[str, int]:
    """Return the node ports of all installed applications, by the inputs that set them."""
    found = {}
    for role, options in platform.specs.items():
        name = f"{role}{ENDING}"
        if name in options and platform.has_part(role):
            found[name] = platform.values[name]
    if platform.has_part("model"):
        for each in platform.values["model_models"]:
            if each.get("node_port"):
                found[f"model_models, {each['name']}, node_port"] = int(each["node_port"])
    if not has_node_port(platform.values["jupyterhub_values"]):
        found.pop(f"jupyterhub{ENDING}", None)
    return found
