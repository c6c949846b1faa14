"""Rules for k3s: the configuration that the roles would write, networks, and token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..common.addresses import is_host, is_loopback, parse_address, parse_network, unfit_for_a_node
from ..common.suggestions import did_you_mean
from ..k3s import settings
from ..k3s.keys import KEYS
from ..k3s.release import form_problem, parse
from ..k3s.settings import IPV4_ONLY
from ..k3s.types import as_list
from ..k3s.unit import proxy_problems
from ..k3s.wanted import WantedNode, asked_by, peers
from ..kubernetes.cluster import repelling
from .platform import Platform

SHORTEST_TOKEN = 16
# Names and addresses of nodes are judged by hosts.py: each by itself, and that no two have the same.
JUDGED_ELSEWHERE = {"node-name", "node-ip"}
# The part whose pods look up no name with the cluster's domain in it.
FOLLOWS_THE_DOMAIN = "jupyterhub"
# In place of a version that cannot be known; settings that came later are judged as known.
ANY_VERSION = "v1.99.0+k3s1"


def release(platform: Platform) -> Iterator[str]:
    """Refuse an artifact of k3s that does not exist, or that names no version of k3s."""
    for variable in ("k3s_binary_artifact", "k3s_binary_images_artifact"):
        for _, name in platform.on_machines(variable):
            if name and name not in platform.catalogue:
                near = did_you_mean(name, platform.catalogue, "; take the line out, or write it as there")
                yield f"{variable} is {name!r}, and artifacts.yml has no such entry{near}"
    for name in _binaries(platform):
        if problem := form_problem(_version(platform, name)):
            yield f"metalworks_artifacts, {name}: version {problem}"


def api_address(platform: Platform) -> Iterator[str]:
    """Refuse an address in front of the servers that is no address or name of a load balancer."""
    for name in ("k3s_api_address", "k3s_server_api_address", "k3s_agent_api_address"):
        for hosts, given in platform.on_machines(name):
            yield from _api_address_problems(name, hosts, str(given or ""))


def _api_address_problems(name: str, hosts: Sequence[str], text: str) -> Iterator[str]:
    address = parse_address(text)
    unfit = unfit_for_a_node(address) if address else "loopback" if is_loopback(text) else None
    if text and not is_host(text):
        yield (
            f"{name} is {text!r}: write the address or the name of what stands in front of the servers, "
            "without https:// and without a port, as in 192.0.2.10"
        )
    elif address and address.version == 6:
        yield f"{name} is {text}: {IPV4_ONLY}; write an IPv4 address, or a name"
    elif unfit and len(hosts) > 1:
        yield f"{name} is {text}, a {unfit} address: each machine would ask itself; write one that all reach"


def k3s_configuration(platform: Platform) -> Iterator[str]:
    """Refuse a configuration with which k3s would not start, and servers that differ but must agree."""
    versions = [_version(platform, name) for name in _binaries(platform)]
    version = next(filter(parse, versions), ANY_VERSION)
    for node in platform.nodes:
        where = f"host {node.host}, k3s_{node.role}_config"
        yield from (f"{where}: {sentence}" for sentence in node.faults)
        for sentence in settings.problems(
            node.role,
            _own(node),
            version,
            _peers(platform, node),
            unchecked=node.unchecked,
        ):
            # Nobody wrote it: it is made of the servers' addresses, of which other rules speak.
            if not sentence.startswith("server: "):
                yield f"{where}: {sentence}"


def node_proxies(platform: Platform) -> Iterator[str]:
    """Refuse a proxy through which nodes would ask each other: few proxies reach a private network."""
    for node in platform.nodes:
        for sentence in proxy_problems(node.environment, asked_by(platform.cluster, node)):
            yield f"host {node.host}, k3s_environment: {sentence}"


def inner_networks(platform: Platform) -> Iterator[str]:
    """Refuse a machine whose address lies in the network of pods or services: no pod could reach it."""
    inner = {"cluster-cidr": platform.cluster.pod_networks, "service-cidr": platform.cluster.service_networks}
    for key, networks in inner.items():
        for text in networks:
            network = parse_network(text)
            for node in platform.nodes if network else ():
                for said in node.addresses or [node.reached_at]:
                    address = parse_address(said)
                    if network and address and address in network:
                        name = "ansible_host" if said == node.reached_at else "node-ip"
                        yield (
                            f"host {node.host}: {name} {address} lies in the cluster's own {key} {network}; "
                            f"set {key} in k3s_server_config to a network that your machines do not use"
                        )


def room_for_nodes(platform: Platform) -> Iterator[str]:
    """Refuse a network of pods with fewer parts than nodes: a node without one never becomes Ready."""
    first = platform.first_server
    written = parse_network(str(first.config.get("cluster-cidr"))) if first else None
    if first and written and written.version == 4 and "cluster-cidr" not in first.unchecked:
        room = settings.node_networks(first.config)
        if 0 < room < len(platform.nodes):  # one without any room is judged with the configuration
            yield (
                f"cluster-cidr {written} has room for {room} node{'s' if room > 1 else ''}, and there are "
                f"{len(platform.nodes)}: write a larger one in k3s_server_config, like 10.42.0.0/16"
            )


def cluster_domain(platform: Platform) -> Iterator[str]:
    """Refuse another domain of the cluster beside parts that look each other up in k3s's usual one."""
    usual = KEYS["cluster-domain"].default
    parts = [part for part in platform.parts if part != FOLLOWS_THE_DOMAIN]
    first = platform.first_server
    domain = first.config.get("cluster-domain", usual) if first else usual
    if parts and domain != usual:
        rest = [part for part in platform.parts if part == FOLLOWS_THE_DOMAIN]
        yield (
            f"cluster-domain is {domain}, and parts are looked up below svc.{usual} only "
            f"({', '.join(parts)}): take it out, or leave these parts out "
            f"(metalworks_parts: [{', '.join(rest)}])"
        )


def cluster_token(platform: Platform) -> Iterator[str]:
    """Refuse a token that can be guessed, or that k3s would read differently."""
    if not platform.gives_anywhere("k3s_token"):
        return  # a generated token is long and random
    for _, given in platform.on_machines("k3s_token"):
        text = str(given)
        secret = text.rpartition(":")[2]
        if len(secret) < SHORTEST_TOKEN or len(set(secret)) < SHORTEST_TOKEN // 2:
            yield (
                "the cluster's token (k3s_token) is weak: whoever guesses it joins the cluster; write at "
                f"least {SHORTEST_TOKEN} random characters, or leave the variable out and one is made"
            )
        elif re.search(r"\s", text):
            yield "the cluster's token (k3s_token) has a blank in it: write it without"


# A weak token is the operator's risk, and the roles take it. A proxy may reach the nodes.
OPTIONAL = (node_proxies, cluster_token)


def _binaries(platform: Platform) -> list[str]:
    """Return the artifacts of k3s that machines get."""
    return [name for _, name in platform.on_machines("k3s_binary_artifact") if name in platform.catalogue]


def _version(platform: Platform, artifact: str) -> str:
    """Return the version of an artifact of k3s."""
    entry = platform.catalogue[artifact]
    chosen = entry.get(platform.source) or entry.get("upstream") or {}
    return str(chosen.get("version", ""))


def _own(node: WantedNode) -> dict[str, Any]:
    given = {**node.given, **node.unchecked}
    return {
        key: value
        for key, value in node.config.items()
        if key not in JUDGED_ELSEWHERE or (key in given and key != "node-name")
    }


def _peers(platform: Platform, node: WantedNode) -> list[dict[str, Any]]:
    others = peers(platform.cluster, node.host) if node.role == "server" else []
    return [
        {
            "name": other["name"],
            "config": {key: value for key, value in other["config"].items() if key not in JUDGED_ELSEWHERE},
        }
        for other in others
    ]


def keeps_pods_away(config: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why a node of this configuration takes no pods with these tolerations, if it takes none."""
    kubelet = [str(each) for each in as_list(config.get("kubelet-arg") or [])]
    registered = [
        each.partition("=")[2] for each in kubelet if each.lstrip("-").startswith("register-with-taints=")
    ]
    written = [str(each) for each in as_list(config.get("node-taint") or [])]
    every = [*written, *(taint for several in registered for taint in several.split(","))]
    found = [taint for taint in every if any(repelling([_parse_taint(taint)], tolerations))]
    return [*found, *(["disable-agent: true"] if config.get("disable-agent") is True else [])]


def _parse_taint(text: str) -> dict[str, str]:
    """Return a taint `key=value:effect` or `key:effect` as the API has it."""
    name, _, effect = text.rpartition(":")
    key, _, value = name.partition("=")
    return {"key": key, "value": value, "effect": effect}
