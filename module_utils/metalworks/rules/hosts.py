"""Rules for hosts: their groups, their names as nodes, and their addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from ..common.addresses import is_host, is_loopback, parse_address, parse_host_port, unfit_for_a_node
from ..common.kubernetes_names import as_subdomain, is_subdomain
from ..common.sentences import listed
from ..k3s import types as k3s_types
from ..k3s.keys import KEYS
from ..k3s.wanted import WantedNode
from .platform import REAL, Platform

# RFC 5737 reserves these networks for documentation. The examples of this repository use them.
LONGEST_LABEL = 63
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")  # C.LOCALHOST of Ansible
DOCUMENTATION = [ipaddress.ip_network(f"{start}.0/24") for start in ("192.0.2", "198.51.100", "203.0.113")]


def hosts_of_an_existing_cluster(platform: Platform) -> Iterator[str]:
    """Refuse hosts in the inventory of an existing cluster, because the playbooks would change them."""
    if platform.kind == "existing" and platform.hosts:
        yield (
            f"group k3s_cluster has hosts ({', '.join(sorted(platform.hosts))}), but metalworks_machines is "
            "existing: no machine of a cluster that is already there is touched; take the hosts out, or "
            "write metal"
        )


def missing_servers(platform: Platform) -> Iterator[str]:
    """Refuse a cluster without a server."""
    if platform.kind != "existing" and not platform.groups.get("k3s_server", ()):
        yield (
            "group k3s_server has no host: a cluster needs 1, 3 or 5 servers; list them under "
            "k3s_cluster.children.k3s_server"
        )


def number_of_servers(platform: Platform) -> Iterator[str]:
    """Refuse an even number of servers with the embedded etcd."""
    servers = list(platform.groups.get("k3s_server", ()))
    even = servers and len(servers) % 2 == 0
    if platform.kind != "existing" and even and platform.cluster.datastore != "external":
        yield (
            f"group k3s_server has {len(servers)} hosts ({', '.join(servers)}): etcd needs an odd number to "
            "survive the loss of one; make one of them an agent, or add a server"
        )


def groups_of_hosts(platform: Platform) -> Iterator[str]:
    """Refuse a host that is both server and agent, or neither, or not in the group k3s_cluster."""
    if platform.kind == "existing":
        return
    servers, agents, members = (
        list(platform.groups.get(group, ())) for group in ("k3s_server", "k3s_agent", "k3s_cluster")
    )
    for name in sorted(set(servers) & set(agents)):
        yield (
            f"host {name} is in k3s_server and in k3s_agent: a server takes work too; take it out of "
            "k3s_agent"
        )
    idle = [name for name in members if name not in servers and name not in agents]
    if idle:
        one = len(idle) == 1
        yield (
            f"{listed(idle)} {'is' if one else 'are'} in k3s_cluster, but in neither k3s_server nor "
            f"k3s_agent: put {'it' if one else 'each'} into one of them"
        )
    outside = [name for name in dict.fromkeys([*servers, *agents]) if name not in members]
    if outside:
        yield (
            f"{listed(outside)} {'is' if len(outside) == 1 else 'are'} not in k3s_cluster, the group of all "
            "machines: make k3s_server and k3s_agent children of k3s_cluster"
        )


def names_of_this_computer(platform: Platform) -> Iterator[str]:
    """Refuse a machine under a name that means this computer, on which the playbooks work as its user."""
    for node in platform.nodes:
        if node.host in LOCAL_NAMES:
            yield (
                f"host {node.host}: the playbooks use that name for the work on this computer, which would "
                "get the machines' variables too, such as ansible_become, and look for root's kubeconfig. "
                "If this computer is the machine, give it another name: box: {ansible_connection: local, "
                "ansible_host: ITS-ADDRESS}"
            )


def inputs_of_the_other_role(platform: Platform) -> Iterator[str]:
    """Refuse an input for servers that only agents have, and the other way round: nothing would read it."""
    nodes = {role: [node for node in platform.nodes if node.role == role] for role in ("server", "agent")}
    for role, other in (("server", "agent"), ("agent", "server")):
        for name in platform.specs.get(f"k3s_{role}", {}):
            own = name.replace(f"k3s_{role}", f"k3s_{other}")
            # What stands in a group of both roles is not meant for this host alone. What a host has beside
            # its own is not either: inventories/aws gives each machine's address to both.
            meant = [platform.given[node.host].get(name) for node in nodes[role]]
            given = [(node.host, platform.given[node.host]) for node in nodes[other]]
            alone = [host for host, its in given if name in its and own not in its and its[name] not in meant]
            if alone and not platform.gives(name) and (nodes[role] or name.endswith(("_name", "_ip"))):
                yield (
                    f"{listed(alone)}: {name} is for {role}s, and nothing reads it on {other}s: write {own}"
                )


def node_names(platform: Platform) -> Iterator[str]:
    """Refuse a name that a node cannot have, and two nodes with the same name."""
    for node in platform.nodes:
        if not is_subdomain(node.name):
            yield (
                f"host {node.host}: {node.name!r} cannot be the name of a Kubernetes node (small letters, "
                f"digits, - and .); {_other_name(node, as_subdomain(node.name) or 'node-1')}"
            )
        elif len(node.name) > LONGEST_LABEL:
            # The kubelet gives the node a label with its name (kubernetes.io/hostname).
            yield (
                f"host {node.host}: the node name {node.name} has {len(node.name)} characters, and "
                f"{LONGEST_LABEL} at most can be a label; {_other_name(node, 'a shorter one')}"
            )
    yield from _duplicates(
        {node.host: node.name for node in platform.nodes},
        "have the same node name {value}: give each a name of its own (k3s_server_node_name, "
        "k3s_agent_node_name)",
    )


def node_addresses(platform: Platform) -> Iterator[str]:
    """Refuse what is no address, and addresses that two nodes share or at which no other machine gets."""
    usable = []
    for node in platform.nodes:
        wrong = [*_ssh_problems(node), *_node_ip_problems(node)]
        yield from (f"host {node.host}: {sentence}" for sentence in wrong)
        usable += [] if wrong else [node]
    yield from _duplicates(
        {node.host: node.address for node in usable},
        "have the same address {value}: give each its own ansible_host",
    )
    for node in usable:
        if node.host in LOCAL_NAMES:
            continue  # names_of_this_computer says what to write
        for text in node.addresses or [node.reached_at]:
            address = parse_address(text)
            unfit = unfit_for_a_node(address) if address else "loopback" if is_loopback(text) else None
            if unfit:
                where = (
                    "its node-ip" if node.addresses else "ansible_host" if text != node.host else "its name"
                )
                yield (
                    f"host {node.host}: {where} {text} is a {unfit} address, at which no other machine "
                    "reaches the node: write an address that the machine has in its network as "
                    f"k3s_{node.role}_node_ip, or as ansible_host"
                )


def _other_name(node: WantedNode, name: str) -> str:
    """Return how to name a node otherwise. k3s makes letters small, and the role would wait in vain."""
    if "node-name" in {**node.given, **node.unchecked}:
        return f"write {name} as node-name in the configuration, where this one is"
    return f"write {name} as k3s_{node.role}_node_name, or rename the host"


def _ssh_problems(node: WantedNode) -> Iterator[str]:
    """Yield why ssh could not find a host at its address."""
    text = node.reached_at
    if is_host(text.partition("%")[0]):  # a link-local address may name its interface
        return
    account, _, rest = text.rpartition("@")
    place = parse_host_port(rest)
    others = {"ansible_user": account, "ansible_port": place.port if place else None}
    apart = [f"{value} as {name}" for name, value in others.items() if value]
    remedy = "write one as ansible_host, as in 192.168.1.10"
    if place and apart:
        remedy = f"write {place.host} as ansible_host, and {' and '.join(apart)}"
    yield f"{text!r} is neither an address nor a name of a machine; {remedy}"


def _node_ip_problems(node: WantedNode) -> Iterator[str]:
    """Yield why k3s could not use a node-ip; what the configuration has is judged with the rest of it."""
    if "node-ip" not in {**node.given, **node.unchecked}:
        for sentence in k3s_types.TYPES["addresses"](KEYS["node-ip"], "node-ip", node.addresses):
            yield f"k3s_{node.role}_node_ip: {sentence}"


def example_addresses(platform: Platform) -> Iterator[str]:
    """Refuse the example addresses of inventories/metal."""
    left = [node for node in platform.nodes if _is_documentation(node.reached_at)]
    if platform.kind in REAL and left:
        yield (
            f"{listed([node.host for node in left])} "
            f"{'has an address' if len(left) == 1 else 'have addresses'} of documentation "
            f"({', '.join(node.reached_at for node in left)}), so this inventory is not filled in: write the "
            "machines' own as ansible_host (docs/how-to/bare-metal.md)"
        )


OPTIONAL = (number_of_servers, inputs_of_the_other_role, example_addresses)


def _is_documentation(text: str) -> bool:
    address = parse_address(text)
    return address is not None and any(address in network for network in DOCUMENTATION)


def _duplicates(values: Mapping[str, str], sentence: str) -> Iterator[str]:
    for value in dict.fromkeys(values.values()):
        names = sorted(name for name, its in values.items() if its == value)
        if len(names) > 1:
            yield f"hosts {', '.join(names)} " + sentence.format(value=value)
