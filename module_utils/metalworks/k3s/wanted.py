"""Derive the configuration of k3s for each host, and the names, addresses, ports and folders of the cluster.

The roles k3s_server and k3s_agent write the configuration; preflight, kubeconfig and verify use the rest.
All is computed from the groups and variables of the inventory. Only `states`, the data that each server has
on its disk, comes from the machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.metalworks.common.addresses import (
    HostPort,
    is_host,
    parse_address,
    parse_network,
    unfit_for_a_node,
)
from ansible.module_utils.metalworks.common.files import one_slash
from ansible.module_utils.metalworks.k3s.keys import (
    DERIVED,
    KEYS,
    KUBELET_PORT,
    MEMBERSHIP,
    REGISTRY_PORT,
    TOKEN_FILE,
)
from ansible.module_utils.metalworks.k3s.settings import IPV4_ONLY
from ansible.module_utils.metalworks.k3s.types import as_list, port_range, split, typed
from ansible.module_utils.metalworks.k3s.unit import environment_problems

Variables = Mapping[str, Any]

# The kubelet keeps one rotated file as it is, which a collector of logs that was away can still read, and
# packs the others. With the kubelet's own 10Mi, a pod that writes 20 KB each second has rotated twice after a
# quarter of an hour; with this, after more than an hour.
LOG_SIZE = ("container-log-max-size", "50Mi")


@dataclass(frozen=True)
class WantedNode:
    """One host of the inventory as a node of the cluster."""

    host: str
    role: str  # server or agent
    name: str  # the node's name in the cluster
    addresses: list[str]  # its node-ip; empty where k3s chooses
    reached_at: str  # where the operator's computer reaches it
    given: dict[str, Any]  # the configuration in the inventory
    unchecked: dict[str, Any]  # settings that the operator insists on
    config: dict[str, Any]  # the complete config.yaml, given and derived
    data_dir: str
    snapshots_dir: str  # empty where etcd is not copied at k3s' own times
    token_file: str
    flannel_interface: str  # empty where k3s chooses
    api_address: str  # the address in front of all servers; empty where none is
    environment: dict[str, Any]  # of the k3s process
    faults: list[str]  # why the configuration cannot be written as it is, as sentences

    @property
    def address(self) -> str:
        """Return the address at which other nodes reach it."""
        return self.addresses[0] if self.addresses else self.reached_at


@dataclass(frozen=True)
class WantedCluster:
    """All nodes, and what they have in common."""

    nodes: dict[str, WantedNode]  # by the host's name in the inventory
    servers: list[str]
    datastore: str  # sqlite, etcd or external
    api_address: str  # where the operator's computer reaches the API
    api_port: int
    api_url: str
    pod_networks: list[str]
    service_networks: list[str]
    node_ports: list[int]  # the first and the last that a service can take
    flannel_backend: str
    volumes_dir: str  # where the provisioner of k3s puts volumes, on each node


def wanted_cluster(
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Variables],
    own: Mapping[str, Variables] | None = None,
    states: Mapping[str, Variables] | None = None,
) -> WantedCluster:
    """Return the cluster that the inventory describes.

    `own` are inputs of the roles, {host: {variable: value}}, which count more than the inventory: a play or a
    test may give them. `states` are the answers of k3s_cluster_info, {server: answer}; without them, all
    servers are new.
    """
    servers = list(groups.get("k3s_server", ()))
    members = [*servers, *groups.get("k3s_agent", ()), *groups.get("k3s_cluster", ())]
    own = own or {}
    # A play's own configuration counts for all of its hosts.
    play = {
        name: value
        for variables in own.values()
        for name, value in variables.items()
        if name.endswith("_config")
    }
    nodes = {}
    for host in dict.fromkeys(members):
        role = "server" if host in servers else "agent"
        nodes[host] = _read_node(host, role, (own.get(host, {}), hostvars[host], play))
    _complete(nodes, servers, states or {})
    first = nodes[servers[0]] if servers else None
    shared = first.config if first else {}
    address = (first.api_address or first.reached_at) if first else ""
    port = setting("https-listen-port", shared)
    return WantedCluster(
        nodes=nodes,
        servers=servers,
        datastore=_datastore([nodes[host] for host in servers]),
        api_address=address,
        api_port=port,
        api_url=_url(address, port),
        pod_networks=[str(each) for each in split(setting("cluster-cidr", shared))],
        service_networks=[str(each) for each in split(setting("service-cidr", shared))],
        node_ports=node_ports(shared),
        flannel_backend=str(setting("flannel-backend", shared)),
        volumes_dir=_volumes_dir(shared),
    )


def peers(cluster: WantedCluster, host: str) -> list[dict[str, Any]]:
    """Return the other servers of a server, in the form of settings.problems()."""
    others = [each for each in cluster.servers if each != host and cluster.nodes[host].role == "server"]
    return [{"name": each, "config": cluster.nodes[each].config} for each in others]


def asked_by(cluster: WantedCluster, node: WantedNode) -> list[HostPort]:
    """Return where k3s of a node asks other nodes over HTTP.

    Each node asks the servers' API, and the servers ask each kubelet. With the embedded registry, each node
    asks all others for images.
    """
    registry = any(each.config.get("embedded-registry") is True for each in cluster.nodes.values())
    found = [HostPort(node.api_address, cluster.api_port)] if node.api_address else []
    for other in cluster.nodes.values():
        asked = {
            cluster.api_port: other.role == "server",
            KUBELET_PORT: node.role == "server",
            REGISTRY_PORT: registry,
        }
        if other is not node:
            found += [HostPort(other.address, port) for port, applies in asked.items() if applies]
    return found


def setting(name: str, config: Mapping[str, Any]) -> Any:
    """Return a key's value, or k3s's default. A port that is no number is refused elsewhere."""
    value, key = config.get(name), KEYS[name]
    unusable = value is None or (key.kind == "port" and not isinstance(value, int))
    return key.default if unusable else value


def _url(host: str, port: int) -> str:
    return f"https://{HostPort(host, port)}"


def node_ports(config: Mapping[str, Any]) -> list[int]:
    """Return the first and the last node port; k3s's default if the given range is none."""
    for text in (setting("service-node-port-range", config), KEYS["service-node-port-range"].default):
        if found := port_range(text):
            return list(found)
    raise AssertionError("k3s's own range of node ports is written wrongly in keys.py")


def _volumes_dir(config: Mapping[str, Any]) -> str:
    """Return the folder of volumes: k3s writes that of a server for all nodes, whatever their data-dir is."""
    given = config.get("default-local-storage-path")
    folder: str = one_slash(given or f"{setting('data-dir', config)}/storage")
    return folder


# One host.


def _read_node(host: str, role: str, sources: Sequence[Variables]) -> WantedNode:
    """Return one host, each value from the first source that has it.

    `config` lacks what depends on other hosts.
    """

    def read(name: str) -> Any:
        found = (source[name] for source in sources if name in source)
        return next((value for value in found if value is not None), None)

    faults: list[str] = []
    given, unchecked = (
        _mapping(f"k3s_{role}_{name}", read(f"k3s_{role}_{name}"), faults)
        for name in ("config", "unchecked_config")
    )
    given, unchecked = ({key: typed(key, value) for key, value in its.items()} for its in (given, unchecked))
    settings = {**given, **unchecked}
    source = f"k3s_{role}_environment"
    source = source if read(source) is not None else "k3s_environment"
    environment = _mapping(source, read(source), faults)
    faults += [f"{key}: {DERIVED[role][key]}" for key in settings if key in DERIVED[role]]
    for key in ("node-name", "node-ip"):
        variable = f"k3s_{role}_{key.replace('-', '_')}"
        value = read(variable)
        if key in settings and value is not None and split(value) != split(settings[key]):
            faults.append(f"{key} is {settings[key]!r} here, and {variable} is {value!r}; write one of them")
    reached_at = str(read("ansible_host") or host)
    addresses = _addresses(settings, read(f"k3s_{role}_node_ip"), reached_at)
    ipv6 = [address for address in addresses if ":" in address]
    if ipv6 and "node-ip" not in unchecked:
        faults.append(
            f"node-ip is {', '.join(addresses)}: {IPV4_ONLY}; write the machine's IPv4 address as "
            f"k3s_{role}_node_ip"
        )
    for each in split(given.get("tls-san") or []):
        if isinstance(each, str) and each and not is_host(each.removeprefix("*.")):
            faults.append(
                f"tls-san: {each!r} is neither an address nor a name; write one like k3s.example, without "
                "https:// and without a port"
            )
    bound = [parse_address(each) for each in split(settings.get("bind-address") or [])]
    asked = [parse_address(each) for each in (*addresses, reached_at)]
    if "bind-address" not in unchecked and any(
        each and not each.is_unspecified and set(asked) != {each} for each in bound
    ):
        faults.append(
            f"bind-address is {settings['bind-address']}, where the API would listen alone, and other "
            f"machines ask it at {', '.join(dict.fromkeys([*addresses, reached_at]))}; take it out, or write "
            "the same address as node-ip and as ansible_host"
        )
    derived: dict[str, Any] = {
        "node-name": str(read(f"k3s_{role}_node_name") or host),
        "token-file": TOKEN_FILE,
    }
    config = {**derived, **settings}
    arguments = config.get("kubelet-arg") or []
    if not isinstance(arguments, Mapping):  # which is refused, and would be lost among the derived ones
        config["kubelet-arg"] = _with_log_size(as_list(arguments))
    config.pop("node-ip", None)  # it may be an empty text
    if addresses:
        config["node-ip"] = ",".join(addresses)
    data_dir = one_slash(setting("data-dir", config))
    own_times = config.get("etcd-disable-snapshots") or config.get("etcd-snapshot-schedule-cron")
    return WantedNode(
        host=host,
        role=role,
        name=str(config["node-name"]),
        addresses=addresses,
        reached_at=reached_at,
        given=given,
        unchecked=unchecked,
        config=config,
        data_dir=data_dir,
        snapshots_dir=""
        if own_times
        else str(config.get("etcd-snapshot-dir") or f"{data_dir}/server/db/snapshots"),
        token_file=str(config["token-file"]),
        flannel_interface=str(config.get("flannel-iface") or ""),
        api_address=str(read(f"k3s_{role}_api_address") or read("k3s_api_address") or ""),
        environment=environment,
        faults=faults,
    )


def _with_log_size(arguments: Sequence[Any]) -> list[Any]:
    """Return the kubelet's arguments with the size at which it rotates logs, unless they have one."""
    name, size = LOG_SIZE
    given = any(str(each).lstrip("-").partition("=")[0] == name for each in arguments)
    return [*arguments] if given else [*arguments, f"{name}={size}"]


def _addresses(config: Mapping[str, Any], node_ip: Any, reached_at: str) -> list[str]:
    """Return the node-ip: the given one, or the address for ssh if a node can have it."""
    if "node-ip" in config:
        node_ip = config["node-ip"]
    elif node_ip is None:
        address = parse_address(reached_at)
        node_ip = reached_at if address is not None and not unfit_for_a_node(address) else ""
    return [str(each) for each in split(node_ip) if each not in (None, "")]


def _mapping(name: str, value: Any, faults: list[str]) -> dict[str, Any]:
    """Return a mapping as plain data, because Ansible's own resolves templates only while the play runs."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        example = "HTTPS_PROXY: http://proxy:3128" if "environment" in name else "disable: [traefik]"
        faults.append(f"{name} is no mapping; write one like {{{example}}}")
        return {}
    return {str(key): _plain(item) for key, item in value.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


# Values that depend on the other hosts.


def _complete(
    nodes: Mapping[str, WantedNode], servers: Sequence[str], states: Mapping[str, Variables]
) -> None:
    """Add to each configuration where the host joins, and to the servers' the names in their certificates."""
    external = any("datastore-endpoint" in nodes[host].config for host in servers)
    for host, node in nodes.items():
        urls = {
            each: _url(
                node.api_address or nodes[each].address, setting("https-listen-port", nodes[each].config)
            )
            for each in servers
        }
        if node.role == "agent":
            joins = {"server": urls[servers[0]]} if servers else {}
        else:
            unready = unready_server(host, servers, states)
            if unready and not external:
                node.faults.append(
                    f"it cannot join {unready} yet, whose datastore is sqlite. Run {unready} first, which "
                    "turns its data into etcd: playbooks/cluster.yml without --limit does both in this order"
                )
            joins = {} if external else membership(host, servers, states, urls)
            if not isinstance(node.config.get("tls-san"), Mapping):  # which is refused
                node.config["tls-san"] = _names(node)
        node.faults.extend(f"environment: {each}" for each in environment_problems(node.environment))
        node.faults.extend(_family_problems(node, nodes[servers[0]]) if servers else [])
        if "server" in joins:
            node.config.pop("cluster-init", None)
        node.config.update(joins)


def _family_problems(node: WantedNode, first: WantedNode) -> Iterator[str]:
    """Yield networks of other IP families than others, with which the node's agent ends at its start.

    k3s, pkg/agent/run.go: "cluster-cidr ... and node-ip ..., must share the same IP version (IPv4, IPv6 or
    dual-stack)". Networks on which the operator does not insist are judged in settings.py.
    """
    names = ("cluster-cidr", "service-cidr")
    if not set(names) & set(first.unchecked):
        return
    pods, services = (
        {net.version for each in split(setting(name, first.config)) if (net := parse_network(each))}
        for name in names
    )
    own = {address.version for each in node.addresses if (address := parse_address(each))}
    if node.role == "server" and pods and services and pods != services:
        yield (
            f"cluster-cidr has {_families(pods)} and service-cidr {_families(services)}, and k3s does not "
            "start with different families: write both with the same"
        )
    if "cluster-cidr" in first.config and own and pods - own:
        yield (
            f"node-ip is {', '.join(node.addresses)} and cluster-cidr has {_families(pods)}, and k3s does "
            "not start with a node that lacks a family of its pods: write the node's addresses of each "
            f"family as node-ip into k3s_{node.role}_unchecked_config"
        )


def _families(versions: Iterable[int]) -> str:
    return " and ".join(f"IPv{version}" for version in sorted(versions))


def _names(node: WantedNode) -> list[str]:
    given = [str(name) for name in split(node.config.get("tls-san") or []) if name]
    names = [node.name, *node.addresses, node.reached_at, node.api_address, *given]
    return list(dict.fromkeys(name for name in names if name))


def _datastore(servers: Sequence[WantedNode]) -> str:
    if any("datastore-endpoint" in node.config for node in servers):
        return "external"
    etcd = len(servers) > 1 or any(node.config.get("cluster-init") for node in servers)
    return "etcd" if etcd else "sqlite"


def membership(
    me: str, servers: Sequence[str], states: Mapping[str, Variables], urls: Mapping[str, str]
) -> dict[str, Any]:
    """Return how a server comes to its cluster: `cluster-init`, `server`, or neither if it stays alone.

    A server with data keeps its setting, so that nothing restarts. A single server that gets company
    converts its data to etcd (cluster-init). A new server joins one that has data.
    """
    alone = list(servers) == [me]
    if has_data(me, states):
        former = states[me].get("membership") or {}
        kept = {name: former[name] for name in MEMBERSHIP if name in former}
        return kept if alone or kept else {"cluster-init": True}
    others = _others_with_data(me, servers, states)
    if others or not (alone or states or me == servers[0]):
        return {"server": urls[(others or servers)[0]]}
    return {} if alone else {"cluster-init": True}


def unready_server(me: str, servers: Sequence[str], states: Mapping[str, Variables]) -> str | None:
    """Return the server that a new one cannot join, because its data is not in etcd yet.

    k3s answers such a join with 400, "etcd disabled" (pkg/server/handlers).
    """
    others = [] if has_data(me, states) else _others_with_data(me, servers, states)
    return others[0] if others and states[others[0]]["datastore"] != "etcd" else None


def _others_with_data(me: str, servers: Sequence[str], states: Mapping[str, Variables]) -> list[str]:
    return [host for host in by_data(servers, states) if host != me and has_data(host, states)]


def has_data(host: str, states: Mapping[str, Variables]) -> bool:
    """Return whether this server was asked and has a datastore on its disk."""
    return bool(states.get(host, {}).get("datastore", "none") != "none")


def by_data(servers: Iterable[str], states: Mapping[str, Variables]) -> list[str]:
    """Return the servers in the order in which they are run.

    First those with data, the ready ones before others.
    """

    def place(host: str) -> tuple[bool, bool, bool]:
        state = states.get(host, {})
        return not has_data(host, states), state.get("datastore") != "etcd", not state.get("ready", False)

    return sorted(servers, key=place)
