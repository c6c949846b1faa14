#!/usr/bin/python
"""Find everything that keeps a machine from becoming a node, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_machine
short_description: Find everything that keeps a machine from becoming a node
description:
  - Looks at processor, memory, disk, clock, kernel, network, ports and the installed k3s in one round trip.
  - Changes nothing, and does not fail on what it finds. The caller shows the sentences of all machines at
    once.
  - With O(listen_seconds) it leaves a process behind that listens for so long at the node's ports that are
    free, for the other machines to try (M(preflight_reach)).
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  role:
    description: What the machine is to be.
    type: str
    required: true
    choices: [server, agent]
  architecture:
    description: The architecture of the artifacts. Empty means that each machine gets those of its own.
    type: str
    default: ''
  k3s_version:
    description: The version of k3s that is to be installed.
    type: str
    required: true
  node_addresses:
    description: Addresses that the machine must have (C(node-ip)).
    type: list
    elements: str
    default: []
  memory_mib:
    description: The least memory; 0 stands for what k3s's documentation asks for the role. A limit of the
      machine's cgroup counts, where it is lower.
    type: int
    default: 0
  cpus:
    description: The least processors; 0 stands for what k3s's documentation asks for the role.
    type: int
    default: 0
  data_dir:
    description: The folder of k3s's data (C(data-dir)), whose disk needs the space.
    type: str
    default: /var/lib/rancher/k3s
  disk_gib:
    description: The least free space for k3s's data, where k3s is not installed yet.
    type: float
    default: 10.0
  etcd:
    description: Whether this server keeps the data in etcd, which needs two more ports.
    type: bool
    default: false
  api_port:
    description: The port of the API on the servers (C(https-listen-port)).
    type: int
    default: 6443
  embedded_registry:
    description: Whether nodes hand images to each other (C(embedded-registry)), which needs a port.
    type: bool
    default: false
  flannel_interface:
    description: The interface that pods' traffic takes (C(flannel-iface)). Empty leaves the choice to k3s.
    type: str
    default: ''
  flannel_backend:
    description: How pods' traffic travels (C(flannel-backend)), by which ports and kernel modules differ.
    type: str
    default: vxlan
  kubelet_args:
    description: The kubelet's arguments (C(kubelet-arg)), of which some are about the machine.
    type: list
    elements: str
    default: []
  kube_proxy_args:
    description: The arguments of kube-proxy (C(kube-proxy-arg)), of which the mode needs kernel modules.
    type: list
    elements: str
    default: []
  swap_off:
    description: Whether the role node turns swap off.
    type: bool
    default: false
  resolv_conf:
    description: The file with the pods' resolvers (C(resolv-conf)). Empty leaves the choice to k3s.
    type: str
    default: ''
  skip:
    description: Names of rules that shall not judge the machine.
    type: list
    elements: str
    default: []
  listen_seconds:
    description: How long to listen for the other machines at most; 0 does not listen.
    type: float
    default: 0.0
  operator_time:
    description: The operator's clock, in seconds since 1970.
    type: float
    required: true
  clock_tolerance_seconds:
    description: How far the clocks may be apart.
    type: float
    default: 30.0
"""

EXAMPLES = r"""
- name: Look at the machine
  preflight_machine:
    role: server
    k3s_version: v1.36.5+k3s1
    operator_time: "{{ now(utc=true).timestamp() }}"
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong and what to do about it; one sentence each, with the name of its rule.
  type: list
  elements: str
  returned: always
  sample: ["port 6443 is in use by nginx (pid 812): stop that, k3s needs the port [free_ports]"]
notes:
  description: What is no reason to refuse the machine, and good to know. Each is a warning, too.
  type: list
  elements: str
  returned: always
  sample: ["Its swap is on. ..."]
facts:
  description: What was seen, for comparison with the other machines.
  type: dict
  returned: always
  sample: {hostname: metal-1, architecture: x86_64, memory_mib: 7950}
reach:
  description: Where the node must be reached (C(spots)), the key to end the process that listens there
    (C(key), empty where nothing was free), its C(role), and the C(firewall) that is known to be on.
  type: dict
  returned: always
"""

import dataclasses
import ipaddress
import json
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.run import Run, runner
from ansible.module_utils.metalworks.node import reach
from ansible.module_utils.metalworks.node.machine_rules import (
    FALLBACK_RESOLVER,
    Facts,
    Wanted,
    notes,
    problems,
)

K3S = "/usr/local/bin/k3s"
LISTENING = "0A"
UNITS = ("/k3s.service", "/k3s-agent.service", "/kubepods")

ARGUMENTS: dict[str, dict[str, Any]] = {
    "role": {"type": "str", "required": True, "choices": ["server", "agent"]},
    "architecture": {"type": "str", "default": ""},
    "k3s_version": {"type": "str", "required": True},
    "node_addresses": {"type": "list", "elements": "str", "default": []},
    "memory_mib": {"type": "int", "default": 0},
    "cpus": {"type": "int", "default": 0},
    "data_dir": {"type": "str", "default": "/var/lib/rancher/k3s"},
    "disk_gib": {"type": "float", "default": 10.0},
    "etcd": {"type": "bool", "default": False},
    "api_port": {"type": "int", "default": 6443},
    "embedded_registry": {"type": "bool", "default": False},
    "flannel_interface": {"type": "str", "default": ""},
    "flannel_backend": {"type": "str", "default": "vxlan"},
    "kubelet_args": {"type": "list", "elements": "str", "default": []},
    "kube_proxy_args": {"type": "list", "elements": "str", "default": []},
    "swap_off": {"type": "bool", "default": False},
    "resolv_conf": {"type": "str", "default": ""},
    "skip": {"type": "list", "elements": "str", "default": []},
    "listen_seconds": {"type": "float", "default": 0.0},
    "operator_time": {"type": "float", "required": True},
    "clock_tolerance_seconds": {"type": "float", "default": 30.0},
}
# Parameters that the rules do not get: the clock is compared here, and what listens is judged elsewhere.
NOT_WANTED = ("operator_time", "listen_seconds", "skip")


def text(path: str) -> str:
    """Return the text of a small file; empty if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def memory_mib() -> int:
    """Return the machine's memory in MiB, or the limit of its cgroup if that is lower."""
    total = int(text("/proc/meminfo").split()[1]) // 1024
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = text(path)
        if limit.isdigit():
            total = min(total, int(limit) // 2**20)
    return total


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return path if path.exists() else existing(path.parent)


def controllers() -> list[str]:
    """Return the cgroup controllers that are switched on."""
    unified = text("/sys/fs/cgroup/cgroup.controllers").split()
    if unified:
        return unified
    rows = [line.split() for line in text("/proc/cgroups").splitlines()[1:]]
    return [row[0] for row in rows if row[3] == "1"]


def kernel_modules(run: Run, wanted: Iterable[str]) -> list[str]:
    """Return the modules that the kernel has: loaded, built in, or loadable."""
    present = {
        "overlay": "overlay" in text("/proc/filesystems").split(),
        "br_netfilter": Path("/proc/sys/net/bridge").exists(),
        "nf_conntrack": Path("/proc/sys/net/netfilter").exists(),
    }
    return [name for name in wanted if present.get(name) or loadable(run, name)]


def loadable(run: Run, name: str) -> bool:
    """Return whether the kernel has a module or can load it.

    In a container, and for modules that are built in without an entry anywhere, an interface of that kind is
    made in a temporary network namespace.
    """
    if Path("/sys/module", name).exists() or run(["modprobe", "--dry-run", "--quiet", name])[0] == 0:
        return True
    further = {"vxlan": ["id", "1", "dstport", "0"]}.get(name, [])
    made = ["unshare", "--net", "ip", "link", "add", "probe0", "type", name, *further]
    return bool(run(made)[0] == 0)


def os_release() -> dict[str, str]:
    """Return the words of /etc/os-release that name the distribution."""
    lines = (line.partition("=") for line in text("/etc/os-release").splitlines())
    return {key: value.strip("\"'") for key, _, value in lines if key in ("ID", "ID_LIKE", "VERSION_ID")}


def resolvers_usable(run: Run, wanted: Wanted) -> bool:
    """Return whether k3s finds a resolver file without local addresses, which pods could use.

    A container is not judged: its resolver is often a relay of the computer under it.
    """
    if wanted.resolv_conf or run(["systemd-detect-virt", "--container", "--quiet"])[0] == 0:
        return True
    return any(map(usable_by_pods, ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")))


def usable_by_pods(path: str) -> bool:
    """Return whether k3s accepts this file.

    All resolvers are global unicast (isValidResolvConf, agent/config).
    """
    rows = [line.split() for line in text(path).splitlines() if line.startswith("nameserver")]
    return bool(rows) and all(len(row) > 1 and is_global(row[1]) for row in rows)


def is_global(text: str) -> bool:
    """Return whether Go's net.IP calls the address global unicast, as it does for private networks, too."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified)


def answers_questions(resolver: str, seconds: float = 3.0) -> bool:
    """Return whether a resolver answers a question for the name servers of the root."""
    question = bytes.fromhex("4d570100000100000000000000") + bytes.fromhex("00020001")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(seconds)
        try:
            asking.connect((resolver, 53))
            asking.send(question)
            return asking.recv(512)[:2] == question[:2]
        except OSError:
            return False


def has_default_route() -> bool:
    """Return whether the kernel has a default route for IPv4 or IPv6."""
    ipv4 = any(line.split()[1] == "00000000" for line in text("/proc/net/route").splitlines()[1:])
    rows = [line.split() for line in text("/proc/net/ipv6_route").splitlines()]
    return ipv4 or any(row[1] == "00" and row[9] != "lo" for row in rows)


def is_local(address: str) -> bool:
    """Return whether an address is this machine's: only then can it be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def listening_sockets() -> dict[str, int]:
    """Return the ports of listening TCP sockets by the sockets' inodes."""
    rows = [
        line.split() for path in ("/proc/net/tcp", "/proc/net/tcp6") for line in text(path).splitlines()[1:]
    ]
    return {row[9]: int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING}


def open_sockets(process: str) -> Iterator[str]:
    """Return the inodes of a process's sockets; none if it has ended meanwhile."""
    try:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:
        return


def strangers(ports: tuple[int, ...]) -> dict[int, str]:
    """Return the programs other than k3s that listen on these ports."""
    wanted = {inode: port for inode, port in listening_sockets().items() if port in ports}
    owners: dict[int, str] = {}
    if not wanted:
        return owners
    for process in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        held = [wanted[inode] for inode in open_sockets(process) if inode in wanted]
        if held and not any(unit in text(f"/proc/{process}/cgroup") for unit in UNITS):
            owners.update(dict.fromkeys(held, f"{text(f'/proc/{process}/comm')} (pid {process})"))
    return owners


def cards(run: Run) -> dict[str, list[str]]:
    """Return the addresses of each network interface; none if the machine has no iproute2."""
    found: dict[str, list[str]] = {entry.name: [] for entry in Path("/sys/class/net").iterdir()}
    code, said, _ = run(["ip", "-json", "address"])
    for card in json.loads(said) if code == 0 and said.strip() else []:
        found[card["ifname"]] = [address["local"] for address in card["addr_info"] if "local" in address]
    return found


def firewall(run: Run) -> str:
    """Return the name of the active firewall, if it can be found without reading output made for people."""
    if "ENABLED=yes" in text("/etc/ufw/ufw.conf").splitlines():
        return "ufw"
    return "firewalld" if run(["systemctl", "is-active", "--quiet", "firewalld"])[0] == 0 else ""


def own_addresses(wanted: Wanted) -> list[str]:
    """Return the node's addresses that this machine has; if k3s chooses, that of the default route."""
    if wanted.node_addresses:
        return [address for address in wanted.node_addresses if is_local(address)]
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((anywhere, 9))  # nothing is sent: the kernel only looks the route up
                return [asking.getsockname()[0]]
            except OSError:
                continue
    return []


def installed_version(run: Run) -> str:
    """Return the version of the installed k3s; empty if there is none."""
    if not Path(K3S).exists():
        return ""
    words = run([K3S, "--version"])[1].split()
    return str(words[2]) if len(words) > 2 else ""


def look(run: Run, wanted: Wanted, operator_time: float) -> Facts:
    """Read everything that the rules judge."""
    place = existing(Path(wanted.data_dir))
    usable = resolvers_usable(run, wanted)
    return Facts(
        hostname=socket.gethostname(),
        machine_id=text("/etc/machine-id"),
        architecture=platform.machine(),
        root=os.geteuid() == 0,
        python=(sys.version_info[0], sys.version_info[1]),
        memory_mib=memory_mib(),
        cpus=len(os.sched_getaffinity(0)),
        disk_free_gib=shutil.disk_usage(place).free / 2**30,
        disk_path=str(place),
        systemd=Path("/run/systemd/system").exists(),
        controllers=controllers(),
        cgroup=2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
        kernel_modules=kernel_modules(run, wanted.modules),
        os_release=os_release(),
        kernel=platform.release(),
        default_route=has_default_route(),
        local_addresses=[address for address in wanted.node_addresses if is_local(address)],
        clock_ahead_seconds=time.time() - operator_time,
        listeners=strangers(wanted.tcp_ports),
        k3s_version=installed_version(run),
        cards=cards(run),
        swap=len(text("/proc/swaps").splitlines()) > 1,
        resolvers_usable=usable,
        fallback_answers=usable or answers_questions(FALLBACK_RESOLVER),
    )


def main() -> None:
    """Read the facts, judge them, and listen on the node's ports for the other machines."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run = runner(module)
    wanted = Wanted(**{name: value for name, value in module.params.items() if name not in NOT_WANTED})
    reach.end()  # a listener of an earlier run that was interrupted
    found = look(run, wanted, module.params["operator_time"])
    remarks = notes(wanted, found)
    for note in remarks:
        module.warn(note)
    seconds = module.params["listen_seconds"]
    spots, key = reach.listen(own_addresses(wanted), wanted.ports, seconds) if seconds else ([], "")
    module.exit_json(
        changed=False,
        problems=problems(wanted, found, module.params["skip"]),
        notes=remarks,
        facts=dataclasses.asdict(found),
        reach={"role": wanted.role, "spots": reach.as_data(spots), "key": key, "firewall": firewall(run)},
    )


if __name__ == "__main__":
    main()
