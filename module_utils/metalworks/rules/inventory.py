"""Is this inventory right? Asked on the operator's computer, before any machine is touched.

`problems()` is the whole of it: sentences that say where, what is wrong, and what to write instead.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ansible.module_utils.metalworks.artifacts import rules as artifact_rules
from ansible.module_utils.metalworks.k3s import registries as k3s_registries
from ansible.module_utils.metalworks.k3s import settings as k3s_settings

KINDS = ("lab", "multipass", "metal", "existing")
# Where the examples' passwords would let strangers in.
REAL = ("metal", "existing")
SOURCES = ("upstream", "bundle", "build")
# RFC 5737: 192.0.2.0 and so on belong to nobody; the examples have them.
DOCUMENTATION = [ipaddress.ip_network(f"{start}.0/24") for start in ("192.0.2", "198.51.100", "203.0.113")]
NODE_PORTS = range(30000, 32768)
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
SLUG = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
USER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
REGISTRY_KEYS = {"address", "repository", "username", "password", "ca"}
REGISTRY_ADDRESS = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?")
REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
SHORTEST_TOKEN = 16
SHORTEST_PASSWORD = 12
# What the examples of this repository and of others use.
WELL_KNOWN_PASSWORDS = {"user1", "user2", "admin", "password", "changeme", "jupyter", "jupyterhub"}
DEFAULT_NETWORKS = {"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16"}


@dataclass(frozen=True)
class Machine:
    """One host of the inventory."""

    name: str
    address: str
    node_name: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """What the inventory says, as far as it can be judged without asking a machine."""

    kind: str
    source: str
    version: str
    groups: Mapping[str, Sequence[str]]
    machines: Sequence[Machine]
    token: str | None = None
    users: Sequence[Mapping[str, Any]] = ()
    profiles: Sequence[Mapping[str, Any]] = ()
    node_ports: Mapping[str, Any] = field(default_factory=dict)
    subnet: str | None = None
    routes: Sequence[str] = ()
    name: str = ""
    notebooks: Sequence[Mapping[str, Any]] = ()
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    artifact_overrides: Any = field(default_factory=dict)
    rehearsal: bool = False
    registry: Mapping[str, Any] = field(default_factory=dict)
    registries: Any = field(default_factory=dict)
    api_address: Any = ""

    @property
    def servers(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.name in self.groups.get("k3s_server", ())]


def problems(inventory: Inventory) -> list[str]:
    """All that is wrong, in the order in which one would put it right."""
    return [
        *_title_problems(inventory),
        *_choice_problems(inventory),
        *_group_problems(inventory),
        *_name_problems(inventory),
        *_address_problems(inventory),
        *_api_problems(inventory.api_address),
        *_lab_problems(inventory),
        *_config_problems(inventory),
        *_token_problems(inventory),
        *_user_problems(inventory),
        *_profile_problems(inventory),
        *artifact_rules.problems(inventory.artifacts, inventory.artifact_overrides),
        *_notebook_problems(inventory),
        *_port_problems(inventory),
        *_all_registry_problems(inventory),
    ]


def _choice_problems(inventory: Inventory) -> Iterator[str]:
    if inventory.kind not in KINDS:
        yield f"metalworks_machines is {inventory.kind!r}: write one of {', '.join(KINDS)}"
    if inventory.source not in SOURCES:
        yield f"metalworks_artifact_source is {inventory.source!r}: write one of {', '.join(SOURCES)}"
    if inventory.source == "build" and inventory.kind != "lab" and not inventory.rehearsal:
        yield (
            f"metalworks_artifact_source is build on {inventory.kind}: what the lab builds is a stand-in for "
            "k3s and its charts; write upstream, or bundle for a closed network. On what is thrown away "
            "afterwards, metalworks_rehearsal: true allows it"
        )


# Groups, names, addresses.


def _group_problems(inventory: Inventory) -> Iterator[str]:
    if inventory.kind == "existing":
        if inventory.machines:
            names = ", ".join(sorted(machine.name for machine in inventory.machines))
            yield (
                f"group k3s_cluster has hosts ({names}), "
                "but metalworks_machines is existing: no machine of a cluster that is already there is "
                "touched; take the hosts out, or write metal"
            )
        return
    servers, agents = (list(inventory.groups.get(group, ())) for group in ("k3s_server", "k3s_agent"))
    if not servers:
        yield (
            "group k3s_server has no host: a cluster needs 1, 3 or 5 servers; list them under "
            "k3s_cluster.children.k3s_server"
        )
    elif len(servers) % 2 == 0:
        yield (
            f"group k3s_server has {len(servers)} hosts ({', '.join(servers)}): etcd needs an odd number to "
            "survive the loss of one; make one of them an agent, or add a server"
        )
    for name in sorted(set(servers) & set(agents)):
        yield (
            f"host {name} is in k3s_server and in k3s_agent: a server takes work too; take it out of "
            "k3s_agent"
        )
    for name in inventory.groups.get("k3s_cluster", ()):
        if name not in servers and name not in agents:
            yield (
                f"host {name} is in k3s_cluster, but in neither k3s_server nor k3s_agent: put it into one of "
                "them"
            )


def _name_problems(inventory: Inventory) -> Iterator[str]:
    for machine in inventory.machines:
        name = machine.node_name
        if not NODE_NAME.match(name) or len(name) > 253:
            suggestion = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
            yield (
                f"host {machine.name}: {name!r} cannot be the name of a Kubernetes node (small letters, "
                f"digits, - and .); write {suggestion or 'node-1'}"
            )
    yield from _duplicates(
        {machine.name: machine.node_name for machine in inventory.machines},
        "have the same node name {value}: give each a name of its own (k3s_server_node_name, "
        "k3s_agent_node_name)",
    )


def _address_problems(inventory: Inventory) -> Iterator[str]:
    yield from _duplicates(
        {machine.name: machine.address for machine in inventory.machines},
        "have the same address {value}: give each its own ansible_host",
    )
    if inventory.kind in REAL:
        yield from _example_problems(inventory.machines)


def _example_problems(machines: Sequence[Machine]) -> Iterator[str]:
    """The example of inventories/metal has addresses that no machine has."""
    left = [machine for machine in machines if _is_documentation(machine.address)]
    if left:
        yield (
            f"hosts {', '.join(machine.name for machine in left)} have addresses of documentation "
            f"({', '.join(machine.address for machine in left)}), so this inventory is not filled in: write "
            "the machines' own as ansible_host (docs/how-to/bare-metal.md)"
        )


def _api_problems(given: Any) -> Iterator[str]:
    text = str(given)
    if given and _address(text) is None and not NODE_NAME.match(text.lower()):
        yield (
            f"k3s_api_address is {text!r}: write the address or the name of what stands in front of the "
            "servers, without https:// and without a port, as in 192.0.2.10"
        )


def _is_documentation(text: str) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in DOCUMENTATION)


def _duplicates(values: Mapping[str, str], sentence: str) -> Iterator[str]:
    for value, count in Counter(values.values()).items():
        if count > 1:
            names = sorted(name for name, its in values.items() if its == value)
            yield f"hosts {', '.join(names)} " + sentence.format(value=value)


def _lab_problems(inventory: Inventory) -> Iterator[str]:
    if inventory.kind != "lab" or not inventory.subnet:
        return
    try:
        subnet = ipaddress.ip_network(inventory.subnet)
    except ValueError:
        yield f"lab_machines_subnet is {inventory.subnet!r}: write a network like 172.30.7.0/24"
        return
    for machine in inventory.machines:
        address = _address(machine.address)
        if address is None:
            yield (
                f"host {machine.name}: ansible_host {machine.address!r} is not an IP address; write one of "
                f"{subnet}"
            )
        elif address not in subnet:
            yield (
                f"host {machine.name}: ansible_host {address} is outside of lab_machines_subnet {subnet}; "
                "write one of that network"
            )
    for route in inventory.routes:
        taken = ipaddress.ip_network(route)
        # The lab's own network is a route too, once it exists.
        if (
            taken != subnet
            and taken.prefixlen > 0
            and taken.version == subnet.version
            and taken.overlaps(subnet)
        ):
            yield (
                f"lab_machines_subnet {subnet} overlaps {taken}, to which this computer has a route already; "
                "choose a network that is free (METALWORKS_LAB_SUBNET for the lab)"
            )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


# What the cluster is told.


def _config_problems(inventory: Inventory) -> Iterator[str]:
    servers = inventory.servers
    for machine in inventory.machines:
        role = "server" if machine in servers else "agent"
        peers = [{"name": peer.name, "config": peer.config} for peer in servers if peer.name != machine.name]
        for sentence in k3s_settings.problems(
            role, machine.config, inventory.version, peers if role == "server" else []
        ):
            yield f"host {machine.name}, k3s_{role}_config: {sentence}"
    yield from _inner_network_problems(inventory)


def _inner_network_problems(inventory: Inventory) -> Iterator[str]:
    """A machine whose address lies in the pods' or services' network cannot be reached from a pod."""
    config = inventory.servers[0].config if inventory.servers else {}
    for key, usual in DEFAULT_NETWORKS.items():
        for text in str(config.get(key, usual)).split(","):
            try:
                network = ipaddress.ip_network(text.strip())
            except ValueError:
                continue  # said by k3s_settings
            for machine in inventory.machines:
                address = _address(machine.address)
                if address is not None and address in network:
                    yield (
                        f"host {machine.name}: ansible_host {address} lies in the cluster's own {key} "
                        f"{network}; set {key} in k3s_server_config to a network that your machines do not "
                        "use"
                    )


def _token_problems(inventory: Inventory) -> Iterator[str]:
    if inventory.token is None:
        return
    secret = inventory.token.rpartition(":")[2]
    if len(secret) < SHORTEST_TOKEN or len(set(secret)) < SHORTEST_TOKEN // 2:
        yield (
            "the cluster's token (k3s_token) is weak: whoever guesses it joins the cluster; write at least "
            f"{SHORTEST_TOKEN} random characters, or leave the variable out and one is made"
        )
    elif re.search(r"\s", inventory.token):
        yield "the cluster's token (k3s_token) has a blank in it: write it without"


# Who may log in, and what they may start.


def _user_problems(inventory: Inventory) -> Iterator[str]:
    names = [str(user.get("name", "")) for user in inventory.users]
    for name, count in Counter(names).items():
        if count > 1:
            yield f"jupyterhub_users lists {name!r} {count} times: keep one"
    for user in inventory.users:
        yield from _one_user_problems(user, inventory.kind)


def _one_user_problems(user: Mapping[str, Any], kind: str) -> Iterator[str]:
    name = str(user.get("name", ""))
    where = f"jupyterhub_users, user {name!r}"
    if not USER_NAME.match(name):
        yield f"{where}: a name is small letters, digits, '.', '_' and '-', and starts with a letter or digit"
    if user.get("password_hash"):
        return
    password = str(user.get("password") or "")
    if not password:
        yield (
            f"{where} has neither password nor password_hash: without one anybody could log in; write one of "
            "them"
        )
    elif kind in REAL and (password.lower() in WELL_KNOWN_PASSWORDS or password.lower() == name.lower()):
        yield (
            f"{where} has a password that everybody knows: that is for the lab; write one of at least "
            f"{SHORTEST_PASSWORD} characters"
        )
    elif kind in REAL and len(password) < SHORTEST_PASSWORD:
        yield (
            f"{where} has a password of {len(password)} characters: write one of at least "
            f"{SHORTEST_PASSWORD}, or a password_hash"
        )


def _profile_problems(inventory: Inventory) -> Iterator[str]:
    slugs = [str(profile.get("slug", "")) for profile in inventory.profiles]
    for slug, count in Counter(slugs).items():
        if count > 1:
            yield (
                f"jupyterhub_profiles lists the slug {slug!r} {count} times: give each choice one of its own"
            )
    names = [str(profile.get("display_name", "")) for profile in inventory.profiles]
    chosen = [name for name, profile in zip(names, inventory.profiles, strict=True) if profile.get("default")]
    if len(chosen) > 1:
        yield (
            f"jupyterhub_profiles has {len(chosen)} defaults ({', '.join(chosen)}): keep default: true on one"
        )
    for name, profile in zip(names, inventory.profiles, strict=True):
        image = str(profile.get("image", ""))
        if image.endswith(":latest") or ":" not in image.rpartition("/")[2]:
            yield (
                f"jupyterhub_profiles, choice {name!r}: image {image} names no version, so tomorrow's server "
                "would be another one; write a tag"
            )


def _notebook_problems(inventory: Inventory) -> Iterator[str]:
    artifacts = {*inventory.artifacts, *inventory.artifact_overrides}
    slugs = [str(notebook.get("slug", "")) for notebook in inventory.notebooks]
    for slug, count in Counter(slugs).items():
        if not SLUG.fullmatch(slug):
            yield (
                f"metalworks_notebooks has the slug {slug!r}: write small letters, digits and '-', as in "
                "'data-science'"
            )
        if count > 1:
            yield f"metalworks_notebooks lists the slug {slug!r} {count} times: give each its own"
    for slug, notebook in zip(slugs, inventory.notebooks, strict=True):
        image = notebook.get("image") or {}
        if ("artifact" in image) == ("context" in image):
            yield (
                f"metalworks_notebooks, choice {slug!r}: image needs either artifact (a name in "
                "artifacts.yml) or context (a folder with a Dockerfile)"
            )
        for key in ("artifact", "base_artifact"):
            if key in image and image[key] not in artifacts:
                near = get_close_matches(str(image[key]), artifacts, 1)
                hint = f"; do you mean {near[0]}?" if near else ""
                yield f"metalworks_notebooks, choice {slug!r}: artifacts.yml has no {image[key]}{hint}"


def _all_registry_problems(inventory: Inventory) -> list[str]:
    """Of the operator's registry, and then of what nodes are told: both dictionaries in one."""
    own = list(_registry_problems(inventory))
    told = inventory.registries if own else k3s_registries.with_own(inventory.registries, inventory.registry)
    return [*own, *(f"k3s_registries: {sentence}" for sentence in k3s_registries.problems(told))]


def _registry_problems(inventory: Inventory) -> Iterator[str]:
    registry = inventory.registry
    if not registry:
        return
    for key in sorted(set(registry) - REGISTRY_KEYS):
        near = get_close_matches(str(key), REGISTRY_KEYS, 1)
        hint = f"do you mean {near[0]}?" if near else f"known are {', '.join(sorted(REGISTRY_KEYS))}"
        yield f"metalworks_registry has the unknown key {key!r}; {hint}"
    address = str(registry.get("address") or "")
    if not REGISTRY_ADDRESS.fullmatch(address):
        yield (
            f"metalworks_registry, address is {address!r}: write a host, and a port where it is not 443, "
            "without https:// and without a path, as in registry.example:5000"
        )
    for key in ("username", "password"):
        # The value is not shown: it may be the password.
        if registry.get(key) is not None and not isinstance(registry[key], str):
            found = type(registry[key]).__name__
            yield f"metalworks_registry, {key} is no text but {found}: write it in quotes"
    repository = str(registry.get("repository", "metalworks"))
    if not REPOSITORY.fullmatch(repository):
        yield (
            f"metalworks_registry, repository is {repository!r}: write small letters and digits, with '.', "
            "'_' and '-' between them, and '/' between parts, as in team/metalworks"
        )
    if bool(registry.get("username")) != bool(registry.get("password")):
        given, missing = ("username", "password") if registry.get("username") else ("password", "username")
        yield f"metalworks_registry has a {given} and no {missing}: write both, or neither"
    if registry.get("ca"):
        yield from (f"metalworks_registry, ca {said}" for said in k3s_registries.ca_problems(registry["ca"]))


def _title_problems(inventory: Inventory) -> Iterator[str]:
    if inventory.name and not SLUG.fullmatch(inventory.name):
        yield (
            f"metalworks_name is {inventory.name!r}: it becomes part of network and context names; "
            "write small letters, digits and '-' (for a lab: METALWORKS_LAB, make's LAB=)"
        )


def _port_problems(inventory: Inventory) -> Iterator[str]:
    for name, port in inventory.node_ports.items():
        if not str(port).isdigit() or int(port) not in NODE_PORTS:
            yield (
                f"{name} is {port}: Kubernetes opens node ports {NODE_PORTS[0]} to {NODE_PORTS[-1]} only; "
                "write one of these"
            )
    yield from _duplicates(
        {name: str(port) for name, port in inventory.node_ports.items()},
        "use the same port {value}: change one",
    )
