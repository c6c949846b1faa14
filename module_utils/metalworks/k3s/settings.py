"""Is this k3s configuration right? Asked before anything changes, on the operator's computer or on a node.

`problems()` is the whole of it: sentences that say what is wrong, where, and what to write instead.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.module_utils.metalworks.common.addresses import Address, Network
from ansible.module_utils.metalworks.k3s.keys import AGREED, KEYS, REFUSED, Key, Version
from ansible.module_utils.metalworks.k3s.types import TYPES, as_list, split

Config = Mapping[str, Any]

VERSION = re.compile(r"v(?P<major>\d+)\.(?P<minor>\d+)\.\d+(-[\w.]+)?\+(k3s|lab)\d+\Z")
SMALLEST_POD_NETWORK = 24  # one node takes a /24 of the IPv4 pod network
LARGEST_SERVICE_NETWORK = 12  # Kubernetes refuses an IPv4 service network of more than 20 bits


def problems(
    role: str,
    config: Config,
    version: str,
    peers: Sequence[Mapping[str, Any]] = (),
    machine_network: str | None = None,
) -> list[str]:
    """All that is wrong with the configuration of a `server` or an `agent`; an empty list when it is right.

    `peers` are the other servers as `{"name": ..., "config": {...}}`. `machine_network` is the network in
    which the machine's own address lies, for example `192.168.1.0/24`.
    """
    found = list(_version_problems(version))
    minor = parse_version(version)
    for name, value in config.items():
        found += _key_problems(role, name, value, minor)
    if found:  # the relations below need values of the right type
        return found
    found += _network_problems(config, machine_network) if role == "server" else []
    found += _membership_problems(role, config)
    found += _peer_problems(config, peers) if role == "server" else []
    return found


def parse_version(version: str) -> Version | None:
    """Major and minor of `v1.34.4+k3s1`; None when it is not a k3s version."""
    match = VERSION.match(version)
    return Version(int(match["major"]), int(match["minor"])) if match else None


def agreed(config: Config) -> dict[str, Any]:
    """The values that must be equal on all servers, in a form that can be compared."""
    return {name: _comparable(KEYS[name], _effective(name, config)) for name in AGREED}


def _version_problems(version: str) -> Iterator[str]:
    if not VERSION.match(version):
        yield f"version {version!r} is not a k3s version: write it in full, like v1.34.4+k3s1"


def _key_problems(role: str, name: str, value: Any, version: Version | None) -> Iterator[str]:
    plain = name[:-1] if name.endswith("+") else name  # `key+` appends to a list of another file
    if plain in REFUSED:
        yield f"{name}: does not belong into the configuration; write {REFUSED[plain]}"
        return
    key = KEYS.get(plain)
    if key is None:
        yield f"{name}: k3s has no such setting{_did_you_mean(plain, KEYS)}"
        return
    if key.server_only and role == "agent":
        yield f"{name}: only a server has this setting; take it out of the agent's configuration"
    elif version and key.since and version < key.since:
        yield f"{name}: k3s has this setting since {key.since}, the wanted version is {version}; take it out"
    elif version and key.removed and version >= key.removed:
        yield f"{name}: k3s dropped this setting with {key.removed}; write {key.instead}"
    else:
        yield from (f"{name}: {sentence}" for sentence in TYPES[key.kind](key, plain, value))


def _did_you_mean(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "; see docs.k3s.io/cli for what there is"


# Relations between values.


def _network_problems(config: Config, machine_network: str | None) -> Iterator[str]:
    pods, services = _networks("cluster-cidr", config), _networks("service-cidr", config)
    for pod in pods:
        for service in services:
            if _overlap(pod, service):
                yield (
                    f"cluster-cidr {pod} and service-cidr {service} overlap; pods and services need networks "
                    "of their own (k3s's defaults: 10.42.0.0/16 and 10.43.0.0/16)"
                )
    yield from _size_problems(config, pods, services)
    yield from _machine_problems(config, {"cluster-cidr": pods, "service-cidr": services}, machine_network)
    yield from _dns_problems(config, services)


def _size_problems(config: Config, pods: list[Network], services: list[Network]) -> Iterator[str]:
    manager = as_list(config.get("kube-controller-manager-arg", []))
    own_mask = any("node-cidr-mask-size" in arg for arg in manager)
    for pod in pods:
        if pod.version == 4 and pod.prefixlen > SMALLEST_POD_NETWORK and not own_mask:
            yield f"cluster-cidr {pod} is too small: each node takes a /24 of it; write a /16"
    for service in services:
        if service.version == 4 and service.prefixlen < LARGEST_SERVICE_NETWORK:
            yield f"service-cidr {service} is too large for Kubernetes; write one like 10.43.0.0/16"


def _machine_problems(
    config: Config, inner: Mapping[str, list[Network]], machine_network: str | None
) -> Iterator[str]:
    addresses = [ipaddress.ip_address(item) for item in split(config.get("node-ip", []))]
    outer = [ipaddress.ip_network(machine_network, strict=False)] if machine_network else []
    for name, networks in inner.items():
        for network in networks:
            for address in addresses:
                if address in network:
                    yield f"{name} {network} contains the machine's address {address}; choose another network"
            for around in outer:
                if _overlap(network, around) and not any(address in network for address in addresses):
                    yield f"{name} {network} overlaps the machine's network {around}; choose another network"


def _dns_problems(config: Config, services: list[Network]) -> Iterator[str]:
    for item in split(config.get("cluster-dns", [])):
        address = ipaddress.ip_address(item)
        homes = [network for network in services if address in network]
        if not homes:
            names = ", ".join(map(str, services))
            yield f"cluster-dns {address} is not in service-cidr {names}; write {_tenth(services[0])}"
        elif address == homes[0].network_address + 1:
            yield f"cluster-dns {address} is the address of the API service; write {_tenth(homes[0])}"


def _membership_problems(role: str, config: Config) -> Iterator[str]:
    if role == "agent" and "server" not in config:
        yield "server: an agent must know its server; write the API address, like https://192.168.1.10:6443"
    if role == "server" and config.get("cluster-init") and "server" in config:
        yield "cluster-init and server contradict each other: the first server initialises, the others join"
    if role == "server" and config.get("cluster-init") and "datastore-endpoint" in config:
        yield "cluster-init (embedded etcd) and datastore-endpoint (your own database) exclude each other"


def _peer_problems(config: Config, peers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    mine = agreed(config)
    for peer in peers:
        name, other = str(peer["name"]), peer["config"]
        if any(True for key in other for _ in _key_problems("server", key, other[key], None)):
            continue  # the peer's own check says what is wrong with it
        theirs = agreed(other)
        for key in AGREED:
            if mine[key] != theirs[key]:
                yield (
                    f"{key} is {_say(mine[key])} here and {_say(theirs[key])} on {name}; it must be equal on "
                    "all servers: write it once, for the group k3s_server"
                )
        for key in ("node-name", "node-ip"):
            if key in config and config[key] == other.get(key):
                yield f"{key} {config[key]} is also that of {name}; each machine needs its own"


# Small helpers.


def _networks(name: str, config: Config) -> list[Network]:
    return [ipaddress.ip_network(item) for item in split(_effective(name, config))]


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


def _tenth(network: Network) -> Address:
    return network.network_address + 10


def _effective(name: str, config: Config) -> Any:
    if name in config:
        return config[name]
    if name == "cluster-dns":  # k3s takes the tenth address of each service network
        return [str(_tenth(network)) for network in _networks("service-cidr", config)]
    return KEYS[name].default


def _comparable(key: Key, value: Any) -> Any:
    if key.kind in ("cidrs", "addresses"):
        return tuple(str(item) for item in split(value))
    if key.kind == "items":
        return tuple(sorted(set(as_list(value))))
    return value


def _say(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)
