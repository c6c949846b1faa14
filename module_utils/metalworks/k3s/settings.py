"""Judge a configuration of k3s before anything changes, on the operator's computer or on a node.

`problems()` returns sentences that say what is wrong, where, and what to write instead.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ansible.module_utils.metalworks.common.addresses import (
    HIGHEST_PORT,
    Address,
    Network,
    overlap,
    special_part,
)
from ansible.module_utils.metalworks.common.suggestions import nearest
from ansible.module_utils.metalworks.k3s.keys import (
    AGREED,
    ARGUMENTS,
    DATASTORES,
    DATASTORES_BY_OTHER_NAMES,
    KEYS,
    MEMBERSHIP,
    NEEDED,
    NEEDED_ONCE,
    OF_K3S,
    REFUSED,
    REGISTRY_PORT,
    SNAPSHOTTERS,
    TAKEN_PORTS,
    Key,
    Version,
)
from ansible.module_utils.metalworks.k3s.release import form_problem, parse
from ansible.module_utils.metalworks.k3s.types import TYPES, as_list, split

Config = Mapping[str, Any]

# The keys whose values are judged together, as networks of one cluster.
NETWORKING = {"cluster-cidr", "service-cidr", "cluster-dns", "node-ip"}
SLIP = 0.8  # an unknown key that is so similar to a known one (0 to 1) counts as a typing error
SMALLEST_POD_NETWORK = 24  # each node gets a /24 of the IPv4 pod network
LARGEST_SERVICE_NETWORK = 12  # Kubernetes refuses a service network with more than 20 bits for hosts
# k3s's DNS has the tenth address of the service network (pkg/cli/server: GetIndexedIP), which a /29 lacks.
SMALLEST_SERVICE_NETWORK = 28
NODE_MASKS = ("node-cidr-mask-size", "node-cidr-mask-size-ipv4")  # of the controller manager
IPV4_ONLY = (
    "the roles and checks here are written for clusters with IPv4 alone, and neither IPv6 nor dual stack has "
    "been tried with them"
)


def problems(
    role: str,
    config: Config,
    version: str,
    peers: Sequence[Mapping[str, Any]] = (),
    machine_network: str | None = None,
    unchecked: Collection[str] = (),
) -> list[str]:
    """Return everything that is wrong with the configuration of a `server` or an `agent`.

    `peers` are the other servers as `{"name": ..., "config": {...}}`. `machine_network` is the network in
    which the machine's own address lies, for example `192.168.1.0/24`. Keys in `unchecked` are not judged.
    """
    config = {name: value for name, value in config.items() if name not in unchecked}
    bad_version = form_problem(version)
    found = [f"version {bad_version}"] if bad_version else []
    minor = _minor(version)
    wrong = {name: list(_key_problems(role, name, value, minor)) for name, value in config.items()}
    found += [sentence for sentences in wrong.values() for sentence in sentences]
    # The checks below need values of the right type, so that a wrong one is left out of them.
    left_out = {name for name, sentences in wrong.items() if sentences}
    config = {name: value for name, value in config.items() if name not in left_out}
    found += _argument_problems(role, config)
    found += _slips(config)
    found += _address_problems(config)
    if role == "server":
        found += [] if left_out & NETWORKING else _network_problems(config, machine_network)
        found += _missing_parts(config, peers)
    found += [] if left_out & set(MEMBERSHIP) else _membership_problems(role, config)
    found += _peer_problems(config, peers, {*unchecked, *left_out}) if role == "server" else []
    return found


def warnings(
    config: Config, peers: Sequence[Mapping[str, Any]] = (), unchecked: Collection[str] = ()
) -> list[str]:
    """Return sentences about settings that k3s accepts and that may be mistakes."""
    found = [
        f"{name}: this project does not know this setting, and writes it as it is; a k3s that does not know "
        "it either skips it"
        for name in config
        if name not in unchecked and _plain(name) not in KEYS and _plain(name) not in REFUSED
    ]
    mine = _disabled(config)
    for peer in peers if "disable" not in unchecked else ():
        theirs = _disabled(peer["config"])
        if mine != theirs:
            found.append(
                f"disable is {_say(mine)} here and {_say(theirs)} on {peer['name']}: the server that starts "
                "last decides what is deployed; write it once, for the group k3s_server"
            )
    return found


def agreed(config: Config) -> dict[str, Any]:
    """Return the values that must be equal on all servers, in a form that can be compared."""
    return {name: _comparable(KEYS[name], _effective(name, config)) for name in AGREED}


def _key_problems(role: str, name: str, value: Any, version: Version | None) -> Iterator[str]:
    plain = _plain(name)
    key = KEYS.get(plain)
    if name != plain and (key or plain in REFUSED):
        yield f"{name}: k3s reads this file first, so there is nothing to add to; write {plain}"
    elif plain in REFUSED:
        yield f"{name}: {REFUSED[plain]}"
    elif plain.upper().startswith("K3S_"):
        meant = plain[len("K3S_") :].lower().replace("_", "-")
        yield f"{name}: this is a variable of the environment, which k3s skips here; the setting is {meant}"
    elif key is None:
        meant = nearest(plain, [*KEYS, *REFUSED], 1, SLIP)
        if meant:
            yield (
                f"{name}: k3s has no such setting; did you mean {meant[0]}? If it has, write it into "
                f"k3s_{role}_unchecked_config"
            )
    elif key.server_only and role == "agent":
        yield f"{name}: only a server has this setting; take it out of the agent's configuration"
    elif version and key.since and version < key.since:
        yield f"{name}: k3s has this setting since {key.since}, the wanted version is {version}; take it out"
    else:
        yield from (f"{name}: {sentence}" for sentence in TYPES[key.kind](key, plain, value))


def _plain(name: str) -> str:
    """Return a key's name without the `+` of `key+`, which appends to a list of another file."""
    return name[:-1] if name.endswith("+") else name


def _minor(version: str) -> Version | None:
    release = parse(version)
    return Version(release.major, release.minor) if release else None


# Single values that need more than a type.


def _argument_problems(role: str, config: Config) -> Iterator[str]:
    """Yield arguments of Kubernetes' programs that go past a setting which other parts follow."""
    for name in sorted({key for key, _ in ARGUMENTS} & set(config)):
        for given in as_list(config[name]):
            argument = given.lstrip("-").partition("=")[0]
            setting = ARGUMENTS.get((name, argument))
            if setting:
                yield (
                    f"{name}: {argument} would go past what k3s and the platform know; write the setting "
                    f"{setting} instead"
                )
            elif setting is not None:
                yield (
                    f"{name}: {argument} would change what the roles and checks rely on; take it out, or "
                    f"insist on it: write {name} into k3s_{role}_unchecked_config"
                )


def _slips(config: Config) -> Iterator[str]:
    """Yield values that are no known word and are like one. The datastore's is a secret, and not shown."""
    snapshotter = config.get("snapshotter")
    if snapshotter and snapshotter not in SNAPSHOTTERS:
        meant = nearest(snapshotter, SNAPSHOTTERS, 1, SLIP)
        if meant:
            yield f"snapshotter: k3s has no {snapshotter!r}; did you mean {meant[0]}?"
    scheme, separator, _ = str(config.get("datastore-endpoint", "")).partition("://")
    if separator and scheme not in DATASTORES:
        # kine, getKineStorageBackend: "storage backend is not defined".
        meant = [*nearest(scheme, DATASTORES, 1, SLIP), DATASTORES_BY_OTHER_NAMES.get(scheme)][0]
        yield f"datastore-endpoint: it begins with {scheme}://" + (
            f"; did you mean {meant}://?"
            if meant
            else f", and k3s starts with none but {', '.join(DATASTORES)}; insist on a newer one in "
            "k3s_server_unchecked_config"
        )
    if "datastore-endpoint" in config and (not separator or scheme == "sqlite"):
        # kine, ParseStorageEndpoint: without a kind of database in front, k3s takes sqlite.
        yield (
            "datastore-endpoint: each server would have a sqlite of its own; begin it with the kind of a "
            "database that servers share, like postgres://, or leave it out"
        )


def _address_problems(config: Config) -> Iterator[str]:
    """Yield addresses that the other parts of the platform cannot use."""
    for name in ("node-external-ip", "advertise-address"):
        ipv6 = [str(item) for item in split(config.get(name, [])) if ":" in str(item)]
        if ipv6:
            yield f"{name} is {', '.join(ipv6)}: {IPV4_ONLY}; write an IPv4 address"


def _missing_parts(config: Config, peers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield settings that take away what every application needs."""
    for (name, value), lack in NEEDED.items():
        given = config.get(name)
        if given == value or (name == "disable" and value in _disabled(config)):
            shown = str(value).lower()
            yield f"{name}: {shown}: {lack}; take it out, or insist on it in k3s_server_unchecked_config"
    if config.get("flannel-backend") == "tailscale" and "vpn-auth-file" not in config:
        # k3s brings Tailscale up with the key in that file (k3s-io/k3s#7352, docs.k3s.io/networking).
        yield (
            "flannel-backend: tailscale: k3s brings Tailscale up with a key, and vpn-auth-file names none; "
            "write it, or insist on the backend in k3s_server_unchecked_config, if the machines have joined"
        )
    for name, lack in NEEDED_ONCE.items():
        if all(each.get(name) is True for each in (config, *(peer["config"] for peer in peers))):
            yield f"{name} is true on all servers, so {lack}; take it out on one of them"
    yield from _api_port_problems(config)
    yield from _volume_problems(config)


def _api_port_problems(config: Config) -> Iterator[str]:
    """Yield why the API could not listen. Its server itself has the port after the one that others use.

    k3s sets that one so (pkg/daemons/control, defaults).
    """
    port = config.get("https-listen-port")
    registry = {REGISTRY_PORT: "the embedded registry"} if config.get("embedded-registry") else {}
    taken = {**TAKEN_PORTS, **registry}
    if port in taken:
        yield f"https-listen-port: {port} is the port of {taken[port]}; write another one"
    elif port is not None and port + 1 in taken:
        yield (
            f"https-listen-port: {port} makes k3s use {port + 1}, too, which is the port of "
            f"{taken[port + 1]}; write another one"
        )
    elif port == HIGHEST_PORT:
        yield f"https-listen-port: k3s uses the port after it, too, and {port} is the last one; write another"


def _volume_problems(config: Config) -> Iterator[str]:
    """Yield a folder of volumes in one that goes when k3s is taken from a machine."""
    data = PurePosixPath(str(_effective("data-dir", config)))
    volumes = PurePosixPath(str(config.get("default-local-storage-path", data / "storage")))
    if any(volumes.is_relative_to(data / name) for name in OF_K3S):
        yield (
            f"default-local-storage-path: {volumes} is among k3s's own data, which go when k3s is taken "
            f"away; write a folder beside {data}, like /srv/volumes"
        )


# Relations between values.


def _network_problems(config: Config, machine_network: str | None) -> Iterator[str]:
    networks = {name: _networks(name, config) for name in ("cluster-cidr", "service-cidr")}
    with_ipv6 = [name for name, its in networks.items() if any(network.version == 6 for network in its)]
    if with_ipv6:
        yield f"{' and '.join(with_ipv6)}: there is an IPv6 network, but {IPV4_ONLY}; write one IPv4 network"
        return
    pods, services = networks["cluster-cidr"][0], networks["service-cidr"][0]
    if overlap(pods, services):
        yield (
            f"cluster-cidr {pods} and service-cidr {services} overlap; pods and services need networks of "
            f"their own (k3s's defaults: {KEYS['cluster-cidr'].default} and {KEYS['service-cidr'].default})"
        )
    for name, network in (("cluster-cidr", pods), ("service-cidr", services)):
        if special := special_part(network):
            default = KEYS[name].default
            yield f"{name} {network} has {special}, which no other machine reaches; write one like {default}"
    if not node_networks(config):
        mask = _node_mask(config)
        large = min(16, mask - 8)
        yield f"cluster-cidr {pods} is too small: each node takes a /{mask} of it; write a /{large}"
    default = KEYS["service-cidr"].default
    if services.prefixlen < LARGEST_SERVICE_NETWORK:
        yield f"service-cidr {services} is too large for Kubernetes; write one like {default}"
    if services.prefixlen > SMALLEST_SERVICE_NETWORK:
        yield (
            f"service-cidr {services} is too small: k3s gives its DNS the tenth address, and each service "
            f"takes one; write one like {default}"
        )
    yield from _machine_problems(config, {"cluster-cidr": pods, "service-cidr": services}, machine_network)
    yield from _dns_problems(config, services)


def node_networks(config: Config) -> int:
    """Return the number of nodes that the network of pods has room for: each takes a part of it."""
    pods = next((network for network in _networks("cluster-cidr", config) if network.version == 4), None)
    more = _node_mask(config) - pods.prefixlen if pods else 0
    return 2**more if more >= 0 else 0


def _node_mask(config: Config) -> int:
    """Return the length of a node's network of pods, which an argument of the controller manager changes."""
    for argument in as_list(config.get("kube-controller-manager-arg") or []):
        name, _, value = str(argument).lstrip("-").partition("=")
        if name in NODE_MASKS and value.isdecimal():
            return int(value)
    return SMALLEST_POD_NETWORK


def _machine_problems(
    config: Config, inner: Mapping[str, Network], machine_network: str | None
) -> Iterator[str]:
    addresses = [ipaddress.ip_address(item) for item in split(config.get("node-ip", []))]
    around = ipaddress.ip_network(machine_network, strict=False) if machine_network else None
    for name, network in inner.items():
        inside = [address for address in addresses if address in network]
        for address in inside:
            yield f"{name} {network} contains the machine's address {address}; choose another network"
        if around and overlap(network, around) and not inside:
            yield f"{name} {network} overlaps the machine's network {around}; choose another network"


def _dns_problems(config: Config, services: Network) -> Iterator[str]:
    for item in split(config.get("cluster-dns", [])):
        address = ipaddress.ip_address(item)
        if address not in services:
            yield f"cluster-dns {address} is not in service-cidr {services}; write {_tenth(services)}"
        elif address == services.network_address + 1:
            yield f"cluster-dns {address} is the address of the API service; write {_tenth(services)}"


def _membership_problems(role: str, config: Config) -> Iterator[str]:
    if role == "agent" and "server" not in config:
        yield "server: an agent must know its server; write the API address, like https://192.168.1.10:6443"
    if role == "server" and config.get("cluster-init") and "server" in config:
        yield "cluster-init and server contradict each other: the first server initialises, the others join"
    if role == "server" and config.get("cluster-init") and "datastore-endpoint" in config:
        yield "cluster-init (embedded etcd) and datastore-endpoint (your own database) exclude each other"


def _peer_problems(
    config: Config, peers: Sequence[Mapping[str, Any]], unchecked: Collection[str]
) -> Iterator[str]:
    for peer in peers:
        name = str(peer["name"])
        other = {key: value for key, value in peer["config"].items() if key not in unchecked}
        if any(True for key in other for _ in _key_problems("server", key, other[key], None)):
            continue  # the check of that server reports it
        mine, theirs = _shared(config), _shared(other)
        for key in mine:
            if mine[key] != theirs[key]:
                yield (
                    f"{key} is {_say(mine[key])} here and {_say(theirs[key])} on {name}; it must be equal on "
                    "all servers: write it once, for the group k3s_server"
                )
        databases = [
            str(each["datastore-endpoint"]) for each in (config, other) if "datastore-endpoint" in each
        ]
        if len(set(databases)) > 1:
            yield (
                f"datastore-endpoint differs from that of {name} (it is not shown, because it may hold a "
                "password), and each database would be a cluster of its own: write it once, for the group "
                "k3s_server; if both lead to one database, insist on it in k3s_server_unchecked_config"
            )
        for key in ("node-name", "node-ip"):
            if key in config and config[key] == other.get(key):
                yield f"{key} {config[key]} is also that of {name}; each machine needs its own"


def _shared(config: Config) -> dict[str, Any]:
    """Return what servers must share. Of `disable`, k3s compares servicelb only (CriticalControlArgs)."""
    return {
        **agreed(config),
        # k3s writes that of the server which starts last for all nodes.
        "default-local-storage-path": config.get("default-local-storage-path", "k3s's own"),
        "disable: servicelb": "servicelb" in _disabled(config),
        # A server without datastore-endpoint would make a cluster of its own.
        "datastore-endpoint": "given" if "datastore-endpoint" in config else "not given",
    }


# Small helpers.


def _networks(name: str, config: Config) -> list[Network]:
    return [ipaddress.ip_network(item) for item in split(_effective(name, config))]


def _tenth(network: Network) -> Address:
    return network.network_address + 10


def _disabled(config: Config) -> tuple[str, ...]:
    return tuple(sorted({str(item) for item in split(config.get("disable", ()))}))


def _effective(name: str, config: Config) -> Any:
    if name in config:
        return config[name]
    if name == "cluster-dns":  # k3s's default: the tenth address of each service network
        return [str(_tenth(network)) for network in _networks("service-cidr", config)]
    return KEYS[name].default


def _comparable(key: Key, value: Any) -> Any:
    return tuple(str(item) for item in split(value)) if key.kind in ("cidrs", "addresses") else value


def _say(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)
