"""Can this machine become a node? What was read from it is judged here; the module reads.

`problems()` is pure: sentences that say what is wrong on the machine and what to do or write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible.module_utils.metalworks.common.architectures import PUBLISHED, architecture
from ansible.module_utils.metalworks.node.firewall import Firewall, Packet, packets, sentence

OLDEST_PYTHON = (3, 9)
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
KERNEL_FEATURES = {
    "overlay": "containers' file systems",
    "bridge-nf": "traffic between pods passing through iptables (module br_netfilter)",
    "conntrack": "services (module nf_conntrack)",
}
SERVER_PORTS = (6443, 10250)
ETCD_PORTS = (2379, 2380)
AGENT_PORTS = (10250,)
NOT_CARDS = ("lo", "veth", "cni", "flannel")  # the loopback, and what k3s makes
VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)[^+]*\+(?:k3s|lab)(\d+)")


@dataclass(frozen=True)
class Facts:
    """What one look at the machine shows."""

    hostname: str
    machine_id: str
    architecture: str
    python: tuple[int, int]
    memory_mib: int
    disk_free_gib: float
    disk_path: str
    systemd: bool
    controllers: Sequence[str]
    kernel_features: Sequence[str]
    default_route: bool
    local_addresses: Sequence[str]
    clock_ahead_seconds: float
    listeners: Mapping[int, str] = field(default_factory=dict)
    k3s_version: str = ""
    root: bool = True
    cards: Mapping[str, Sequence[str]] = field(default_factory=dict)
    swap: bool = False
    firewall: Firewall | None = None


@dataclass(frozen=True)
class Wanted:
    """What is asked of it."""

    role: str
    architecture: str
    k3s_version: str
    node_addresses: Sequence[str]
    memory_mib: int
    disk_gib: float
    clock_tolerance_seconds: float
    etcd: bool = False
    flannel_interface: str = ""
    flannel_backend: str = "vxlan"
    peers: Sequence[str] = ()
    pod_network: str = "10.42.0.0/16"
    swap_refused: bool = False

    def incoming(self, cards: Mapping[str, Sequence[str]]) -> list[Packet]:
        """What the other nodes and the pods must be able to send here."""
        own = [card for card, addresses in cards.items() if set(addresses) & set(self.node_addresses)]
        card = self.flannel_interface or (own[0] if own else "")
        vxlan = self.flannel_backend == "vxlan"
        wanted: list[Packet] = packets(self.role, self.etcd, self.peers, self.pod_network, vxlan, card)
        return wanted

    @property
    def ports(self) -> tuple[int, ...]:
        if self.role == "agent":
            return AGENT_PORTS
        return SERVER_PORTS + (ETCD_PORTS if self.etcd else ())


def problems(wanted: Wanted, found: Facts) -> list[str]:
    """All that keeps the machine from becoming, or staying, the node that is wanted."""
    return [
        *_system_problems(wanted, found),
        *_size_problems(wanted, found),
        *_network_problems(wanted, found),
        *_card_problems(wanted, found),
        *([sentence(found.firewall)] if found.firewall and found.firewall.closed else []),
        *_version_problems(wanted.k3s_version, found.k3s_version),
    ]


def _system_problems(wanted: Wanted, found: Facts) -> Iterator[str]:
    if not found.root:
        yield "Ansible does not work as root there: set ansible_become to true in the inventory"
    if found.python < OLDEST_PYTHON:
        yield (
            f"Python {'.'.join(map(str, found.python))} is too old for Ansible's modules: install Python "
            f"{'.'.join(map(str, OLDEST_PYTHON))} or newer, or point ansible_python_interpreter to one"
        )
    its_own = architecture(found.architecture)
    if its_own not in PUBLISHED:
        yield (
            f"its processor is {found.architecture}, for which there is no k3s: use a machine of "
            f"{', '.join(PUBLISHED)}"
        )
    elif wanted.architecture not in ("", its_own):
        yield (
            f"its processor is {its_own}, but k3s_binary_arch is {wanted.architecture}: take "
            "k3s_binary_arch out of the inventory (each machine is then asked), or use another machine"
        )
    if not found.systemd:
        yield "systemd is not its init: k3s runs as a systemd service here; use a system with systemd"
    missing = [name for name in CONTROLLERS if name not in found.controllers]
    if missing:
        yield (
            f"the kernel has the cgroup controllers {', '.join(missing)} switched off: switch them on at "
            "boot (on a Raspberry Pi cgroup_enable=memory in cmdline.txt) and reboot"
        )
    for name, purpose in KERNEL_FEATURES.items():
        if name not in found.kernel_features:
            yield (
                f"the kernel lacks {name}, needed for {purpose}: load the module or install the "
                "distribution's full kernel"
            )
    ahead = found.clock_ahead_seconds
    if abs(ahead) > wanted.clock_tolerance_seconds:
        yield (
            f"its clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the operator's "
            f"computer (tolerated: {wanted.clock_tolerance_seconds:g} s), so certificates would not be "
            "valid: switch on time synchronisation (timedatectl set-ntp true)"
        )
    if found.swap and wanted.swap_refused:
        yield (
            f"its swap is on, and k3s_{wanted.role}_config has fail-swap-on=true, with which the kubelet "
            'does not start: write node_swap: "off", or take that argument out (k3s itself runs with swap)'
        )


def notes(found: Facts) -> list[str]:
    """What is no reason to refuse the machine, and good to know."""
    if not found.swap:
        return []
    return [
        "Its swap is on. k3s runs with it and pods do not use it; a node that swaps is slow when memory is "
        'short. `node_swap: "off"` turns it off for good.'
    ]


def _size_problems(wanted: Wanted, found: Facts) -> Iterator[str]:
    if found.memory_mib < wanted.memory_mib:
        yield (
            f"it has {found.memory_mib} MiB of memory, {wanted.memory_mib} MiB are needed: give it more, or "
            "lower preflight_memory_mib if you know better"
        )
    # What a node has stored is no reason to refuse it.
    if not found.k3s_version and found.disk_free_gib < wanted.disk_gib:
        yield (
            f"{found.disk_path} has {found.disk_free_gib:.1f} GiB free, {wanted.disk_gib:g} GiB are needed "
            "for images and volumes: make room, or lower preflight_disk_gib if you know better"
        )


def _network_problems(wanted: Wanted, found: Facts) -> Iterator[str]:
    if not found.default_route:
        yield (
            "it has no default route, without which k3s does not start: add one, a dummy one in a closed "
            "network"
        )
    for address in wanted.node_addresses:
        if address not in found.local_addresses:
            yield (
                f"no interface of it has the address {address}, which is to be its node-ip: write one that "
                f"it has as k3s_{wanted.role}_node_ip (its default is ansible_host)"
            )
    for port in wanted.ports:
        owner = found.listeners.get(port)
        if owner:
            yield f"port {port} is in use by {owner}: stop that, k3s needs the port"


def _card_problems(wanted: Wanted, found: Facts) -> Iterator[str]:
    """k3s sends the pods' traffic through flannel-iface, and all else of the node through node-ip."""
    name = wanted.flannel_interface
    if not name:
        return
    config = f"k3s_{wanted.role}_config"
    if name not in found.cards:
        others = ", ".join(sorted(card for card in found.cards if not card.startswith(NOT_CARDS)))
        yield (
            f"it has no network interface {name}, which flannel-iface of {config} names: write one of "
            f"{others}"
        )
        return
    for address in wanted.node_addresses:
        if address in found.local_addresses and address not in found.cards[name]:
            there = ", ".join(found.cards[name]) or "no address"
            yield (
                f"its node-ip {address} is not on {name}, which flannel-iface of {config} names and which "
                f"has {there}: write an address and an interface of one network"
            )


def _version_problems(wanted: str, installed: str) -> Iterator[str]:
    new, old = VERSION.match(wanted), VERSION.match(installed)
    if not new or not old:
        return
    new_parts, old_parts = ([int(part) for part in match.groups()] for match in (new, old))
    if new_parts < old_parts:
        yield (
            f"it runs k3s {installed}, {wanted} is older: Kubernetes cannot go back; write {installed} or "
            "newer, or restore a snapshot on a reset machine"
        )
    elif new_parts[0] != old_parts[0] or new_parts[1] - old_parts[1] > 1:
        yield (
            f"it runs k3s {installed}, from which {wanted} skips minor versions: upgrade one minor at a "
            f"time, v{old_parts[0]}.{old_parts[1] + 1} next"
        )
