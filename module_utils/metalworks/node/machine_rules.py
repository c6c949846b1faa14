"""Judge whether a machine can become a node, from the facts that the module preflight_machine read.

A rule yields sentences that say what is wrong on the machine, and what to do or write instead. An operator
can leave out those in OPTIONAL by name (`preflight_skip`), as the rules for inventories (metalworks/rules).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible.module_utils.metalworks.common.architectures import PUBLISHED, architecture
from ansible.module_utils.metalworks.k3s.release import parse, refusal
from ansible.module_utils.metalworks.node.reach import Port, ports

OLDEST_PYTHON = (3, 9)
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
# k3s's page installation/requirements, hardware: a server has 2 cores and 2 GB, an agent 1 core and 512 MB.
# A kernel keeps up to a tenth of the memory for itself and shows the rest.
LEAST = {"server": (2, 1800), "agent": (1, 460)}
# The modules that every node needs, and what for (k3s's page installation/requirements, and the kubelet).
MODULES = {
    "overlay": "containers' file systems",
    "br_netfilter": "traffic between pods passing through iptables",
    "nf_conntrack": "services",
}
# The kind of interface that flannel makes, by flannel-backend (pkg/agent/flannel of k3s).
BACKEND_MODULES = {"vxlan": "vxlan", "wireguard-native": "wireguard"}
# What kube-proxy needs for its other modes (kubernetes.io/docs/reference/networking/virtual-ips).
PROXY_MODULES = {"ipvs": ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh"), "nftables": ("nf_tables",)}
NO_CGROUP_V1 = (1, 35)  # from this version on the kubelet's failCgroupV1 is true
FALLBACK_RESOLVER = "8.8.8.8"  # locateOrGenerateResolvConf of k3s, pkg/agent/config
NOT_CARDS = ("lo", "veth", "cni", "flannel")  # the loopback, and interfaces that k3s makes


@dataclass(frozen=True)
class Facts:
    """The facts about a machine."""

    hostname: str
    machine_id: str
    architecture: str
    python: tuple[int, int]
    memory_mib: int
    disk_free_gib: float
    disk_path: str
    systemd: bool
    controllers: Sequence[str]
    kernel_modules: Sequence[str]  # of the wanted modules: loaded, built in, or loadable
    default_route: bool
    local_addresses: Sequence[str]
    clock_ahead_seconds: float
    cpus: int = 2
    listeners: Mapping[int, str] = field(default_factory=dict)
    k3s_version: str = ""
    root: bool = True
    cards: Mapping[str, Sequence[str]] = field(default_factory=dict)
    swap: bool = False
    cgroup: int = 2  # the version of the hierarchy, 1 or 2; a mixed one counts as 1
    os_release: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    resolvers_usable: bool = True  # whether pods can use the machine's resolvers: none is on the loopback
    fallback_answers: bool = True  # whether the resolver that k3s would use instead answered


@dataclass(frozen=True)
class Wanted:
    """The node that the machine is to become."""

    role: str
    architecture: str
    k3s_version: str
    node_addresses: Sequence[str]
    disk_gib: float
    clock_tolerance_seconds: float
    memory_mib: int = 0  # 0 means the minimum of k3s's documentation
    cpus: int = 0
    data_dir: str = "/var/lib/rancher/k3s"
    etcd: bool = False
    api_port: int = 6443
    embedded_registry: bool = False
    flannel_interface: str = ""
    flannel_backend: str = "vxlan"
    pod_network: str = "10.42.0.0/16"
    kubelet_args: Sequence[str] = ()
    kube_proxy_args: Sequence[str] = ()
    swap_off: bool = False
    resolv_conf: str = ""

    @property
    def ports(self) -> list[Port]:
        """Return the ports on which the node must be reached."""
        found: list[Port] = ports(
            self.role, self.etcd, self.flannel_backend, self.embedded_registry, self.api_port
        )
        return found

    @property
    def tcp_ports(self) -> tuple[int, ...]:
        """Return the ports that must be free: those, and the one where a server's API itself listens.

        k3s gives it the port after https-listen-port, for itself only (pkg/cli/server: APIServerPort).
        """
        itself = (self.api_port + 1,) if self.role == "server" else ()
        return (*(port.number for port in self.ports if port.protocol == "tcp"), *itself)

    @property
    def modules(self) -> dict[str, str]:
        """Return the kernel modules that the node needs, and what for."""
        module = BACKEND_MODULES.get(self.flannel_backend)
        mode = _argument(self.kube_proxy_args, "proxy-mode")
        return {
            **MODULES,
            **({module: f"flannel-backend {self.flannel_backend}"} if module else {}),
            **dict.fromkeys(PROXY_MODULES.get(mode, ()), f"kube-proxy's mode {mode}"),
        }

    def kubelet(self, name: str) -> str:
        """Return the value of a kubelet's argument; it is empty if there is none."""
        return _argument(self.kubelet_args, name)


def _argument(given: Sequence[str], name: str) -> str:
    """Return the value of an argument, of which the last one counts; it is empty if there is none."""
    values = dict(argument.lstrip("-").partition("=")[::2] for argument in given)
    return values.get(name, "")


def notes(wanted: Wanted, found: Facts) -> list[str]:
    """Return sentences that the operator should know, and that are no reason to refuse the machine."""
    remarks = []
    if found.swap and not wanted.swap_off:
        remarks.append(
            "Its swap is on. k3s runs with it and pods do not use it; a node that swaps is slow when memory "
            'is short. `node_swap: "off"` turns it off for good.'
        )
    if not found.resolvers_usable and found.fallback_answers:
        remarks.append(
            "Its resolvers are on its own loopback, where pods cannot ask: k3s gives them "
            f"{FALLBACK_RESOLVER} instead, which does not know names of your own network. The key "
            f"resolv-conf in k3s_{wanted.role}_config names a file with other resolvers for pods."
        )
    return remarks


# The rules. Each yields sentences about one machine, and its name is the function's.


def work_as_root(_: Wanted, found: Facts) -> Iterator[str]:
    """Ansible's tasks run as root there."""
    if not found.root:
        yield "Ansible does not work as root there: set ansible_become to true in the inventory"


def python_version(_: Wanted, found: Facts) -> Iterator[str]:
    """Python is new enough for Ansible's modules."""
    if found.python < OLDEST_PYTHON:
        yield (
            f"Python {'.'.join(map(str, found.python))} is too old for Ansible's modules: install Python "
            f"{'.'.join(map(str, OLDEST_PYTHON))} or newer, or point ansible_python_interpreter to one"
        )


def processor_type(wanted: Wanted, found: Facts) -> Iterator[str]:
    """There is a k3s for the processor, and it is the one that the inventory names."""
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


def init_system(_: Wanted, found: Facts) -> Iterator[str]:
    """The machine's init is systemd."""
    if not found.systemd:
        yield "systemd is not its init: k3s runs as a systemd service here; use a system with systemd"


def clock(wanted: Wanted, found: Facts) -> Iterator[str]:
    """Its clock agrees with the operator's."""
    ahead = found.clock_ahead_seconds
    if abs(ahead) > wanted.clock_tolerance_seconds:
        yield (
            f"its clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the operator's "
            f"computer (tolerated: {wanted.clock_tolerance_seconds:g} s), so certificates would not be "
            "valid: switch on time synchronisation (timedatectl set-ntp true)"
        )


def cgroup_controllers(_: Wanted, found: Facts) -> Iterator[str]:
    """All controllers that the kubelet needs are switched on."""
    missing = [name for name in CONTROLLERS if name not in found.controllers]
    if missing:
        yield (
            f"the kernel has the cgroup controllers {', '.join(missing)} switched off: switch them on at "
            "boot (on a Raspberry Pi cgroup_enable=memory in cmdline.txt) and reboot"
        )


def cgroup_version(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The kubelet of the wanted version starts with the machine's cgroups."""
    release = parse(wanted.k3s_version)
    refuses_v1 = release is not None and (release.major, release.minor) >= NO_CGROUP_V1
    if found.cgroup == 1 and refuses_v1 and wanted.kubelet("fail-cgroupv1") != "false":
        yield (
            f"it uses cgroup v1, with which the kubelet of {wanted.k3s_version} does not start: boot it with "
            "systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or insist with kubelet-arg: "
            f"[fail-cgroupv1=false] in k3s_{wanted.role}_config"
        )


def kernel_modules(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The kernel has the modules that k3s needs."""
    for name, purpose in wanted.modules.items():
        if name not in found.kernel_modules:
            other = ", or write another flannel-backend" if "flannel" in purpose else ""
            yield (
                f"the kernel has no module {name}, needed for {purpose}: install "
                f"{module_package(found.os_release, found.kernel)}{other}"
            )


def swap(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The kubelet starts with the machine's swap."""
    if found.swap and not wanted.swap_off and wanted.kubelet("fail-swap-on") == "true":
        yield (
            f"its swap is on, and k3s_{wanted.role}_config has fail-swap-on=true, with which the kubelet "
            'does not start: write node_swap: "off", or take that argument out (k3s itself runs with swap)'
        )


def memory(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The machine has the memory that k3s's documentation asks for."""
    least = wanted.memory_mib or LEAST[wanted.role][1]
    if found.memory_mib < least:
        yield (
            f"it has {found.memory_mib} MiB of memory, {least} MiB are needed for k3s's {wanted.role}: "
            "give it more, or lower preflight_memory_mib if you know better"
        )


def processors(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The machine has the processors that k3s's documentation asks for."""
    least = wanted.cpus or LEAST[wanted.role][0]
    if found.cpus < least:
        yield (
            f"it has {found.cpus} processor{'s' if found.cpus > 1 else ''}, k3s's {wanted.role} needs "
            f"{least}: give it more, or lower preflight_cpus if you know better"
        )


def disk_space(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The disk has room for images and volumes. A node is not refused because it has filled its disk."""
    if not found.k3s_version and found.disk_free_gib < wanted.disk_gib:
        yield (
            f"{found.disk_path} has {found.disk_free_gib:.1f} GiB free, {wanted.disk_gib:g} GiB are needed "
            "for images and volumes: make room, or lower preflight_disk_gib if you know better"
        )


def default_route(_: Wanted, found: Facts) -> Iterator[str]:
    """The machine has a default route."""
    if not found.default_route:
        yield (
            "it has no default route, without which k3s does not start: add one, a dummy one in a closed "
            "network"
        )


def node_address(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The machine has the address that is to be its node-ip."""
    for address in wanted.node_addresses:
        if _unusable(address):
            yield (
                f"its node-ip is to be {address}, by which no other node reaches it and with which the "
                f"kubelet does not start: write an address of its network as k3s_{wanted.role}_node_ip"
            )
        elif address not in found.local_addresses:
            yield (
                f"no interface of it has the address {address}, which is to be its node-ip: write one that "
                f"it has as k3s_{wanted.role}_node_ip (its default is ansible_host)"
            )


def free_ports(wanted: Wanted, found: Facts) -> Iterator[str]:
    """No other program listens on k3s's ports."""
    for number in wanted.tcp_ports:
        owner = found.listeners.get(number)
        if owner:
            yield f"port {number} is in use by {owner}: stop that, k3s needs the port"


def resolvers(wanted: Wanted, found: Facts) -> Iterator[str]:
    """Pods can look up names."""
    if not found.resolvers_usable and not found.fallback_answers:
        yield (
            "its resolvers are on its own loopback, where pods cannot ask, and the one that k3s gives them "
            f"instead ({FALLBACK_RESOLVER}) does not answer, so pods could look up no name of the outside: "
            "write a file with resolvers of your network on the machine, and its path as resolv-conf into "
            f"k3s_{wanted.role}_config"
        )


def flannel_interface(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The interface of flannel-iface (pods' traffic) is there, and has the node-ip (all other traffic)."""
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
            addresses = ", ".join(found.cards[name]) or "no address"
            yield (
                f"its node-ip {address} is not on {name}, which flannel-iface of {config} names and which "
                f"has {addresses}: write an address and an interface of one network"
            )


def k3s_upgrade(wanted: Wanted, found: Facts) -> Iterator[str]:
    """The wanted version can follow the installed one."""
    sentence = refusal(found.k3s_version, wanted.k3s_version) if found.k3s_version else None
    if sentence:
        yield sentence


def module_package(os_release: Mapping[str, str], kernel: str) -> str:
    """Return the package in which a distribution has modules that its base kernel lacks."""
    family = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    if os_release.get("ID") == "ubuntu":
        flavour = "raspi" if kernel.endswith("-raspi") else kernel or "generic"
        return f"linux-modules-extra-{flavour}"
    if family & {"rhel", "fedora", "centos"}:
        # EL 10 has br_netfilter there, too (k3s-ansible, role prereq).
        return "kernel-modules-extra (and reboot, where that brings a newer kernel)"
    return "the distribution's full kernel"


def _unusable(address: str) -> bool:
    """Yield the addresses that the kubelet refuses as a node's (validateNodeIP of kubelet_node_status.go)."""
    found = ipaddress.ip_address(address)
    return found.is_loopback or found.is_multicast or found.is_link_local or found.is_unspecified


RULES: dict[str, Callable[[Wanted, Facts], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        work_as_root,
        python_version,
        processor_type,
        init_system,
        clock,
        cgroup_controllers,
        cgroup_version,
        kernel_modules,
        swap,
        memory,
        processors,
        disk_space,
        default_route,
        node_address,
        free_ports,
        resolvers,
        flannel_interface,
        k3s_upgrade,
    )
}
# Rules about all machines together, which the filters of the role preflight apply.
HOSTNAMES, MACHINE_IDS, REACH = "different_hostnames", "different_machine_ids", "machines_reach_each_other"
NAMES = (*RULES, HOSTNAMES, MACHINE_IDS, REACH)
# Those that can be left out. The module k3s_binary judges an upgrade again.
OPTIONAL = tuple(name for name in NAMES if name != k3s_upgrade.__name__)


def problems(wanted: Wanted, found: Facts, skip: Collection[str] = ()) -> list[str]:
    """Return everything that keeps the machine from becoming, or staying, the wanted node.

    Each sentence ends with the name of its rule. Rules in `skip` are not asked.
    """
    return [
        f"{sentence} [{name}]"
        for name, rule in RULES.items()
        if name not in skip
        for sentence in rule(wanted, found)
    ]
