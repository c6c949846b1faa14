#!/usr/bin/python
"""Say all that keeps a machine from becoming a node, in one look at it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_machine
short_description: Say all that keeps a machine from becoming a node
description:
  - Looks at processor, memory, disk, clock, kernel, network, ports and the installed k3s in one round trip.
  - Changes nothing, and does not fail on what it finds. The caller shows the sentences of all machines at
    once.
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
    description: The least memory. A limit of the machine's cgroup counts, where it is lower.
    type: int
    default: 1024
  disk_gib:
    description: The least free space for k3s's data, where k3s is not installed yet.
    type: float
    default: 10.0
  etcd:
    description: Whether this server keeps the data in etcd, which needs two more ports.
    type: bool
    default: false
  flannel_interface:
    description: The interface that pods' traffic takes (C(flannel-iface)). Empty leaves the choice to k3s.
    type: str
    default: ''
  flannel_backend:
    description: How pods' traffic travels (C(flannel-backend)). V(vxlan) needs a port of its own.
    type: str
    default: vxlan
  peers:
    description: The addresses of the other nodes. The machine's firewall must let them in.
    type: list
    elements: str
    default: []
  pod_network:
    description: The network of the pods (C(cluster-cidr)). The machine's firewall must let it in.
    type: str
    default: 10.42.0.0/16
  swap_refused:
    description: Whether the kubelet is told not to start while swap is on (C(fail-swap-on)).
    type: bool
    default: false
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
    k3s_version: v1.34.4+k3s1
    operator_time: "{{ now(utc=true).timestamp() }}"
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong and what to do about it; one sentence each.
  type: list
  elements: str
  returned: always
  sample: ["port 6443 is in use by nginx (pid 812): stop that, k3s needs the port"]
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
"""

import dataclasses
import json
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.node.firewall import Firewall, Packet, closed_by_nftables, closed_by_ufw
from ansible.module_utils.metalworks.node.machine_rules import Facts, Wanted, notes, problems

DATA = Path("/var/lib/rancher/k3s")
K3S = "/usr/local/bin/k3s"
LISTENING = "0A"
UNITS = ("/k3s.service", "/k3s-agent.service", "/kubepods")

ARGUMENTS: dict[str, dict[str, Any]] = {
    "role": {"type": "str", "required": True, "choices": ["server", "agent"]},
    "architecture": {"type": "str", "default": ""},
    "k3s_version": {"type": "str", "required": True},
    "node_addresses": {"type": "list", "elements": "str", "default": []},
    "memory_mib": {"type": "int", "default": 1024},
    "disk_gib": {"type": "float", "default": 10.0},
    "etcd": {"type": "bool", "default": False},
    "flannel_interface": {"type": "str", "default": ""},
    "flannel_backend": {"type": "str", "default": "vxlan"},
    "peers": {"type": "list", "elements": "str", "default": []},
    "pod_network": {"type": "str", "default": "10.42.0.0/16"},
    "swap_refused": {"type": "bool", "default": False},
    "operator_time": {"type": "float", "required": True},
    "clock_tolerance_seconds": {"type": "float", "default": 30.0},
}


def text(path: str) -> str:
    """The content of a small file, or nothing where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def memory_mib() -> int:
    total = int(text("/proc/meminfo").split()[1]) // 1024
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = text(path)
        if limit.isdigit():
            total = min(total, int(limit) // 2**20)
    return total


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return path if path.exists() else existing(path.parent)


def controllers() -> list[str]:
    unified = text("/sys/fs/cgroup/cgroup.controllers").split()
    if unified:
        return unified
    rows = [line.split() for line in text("/proc/cgroups").splitlines()[1:]]
    return [row[0] for row in rows if row[3] == "1"]


def kernel_features(module: AnsibleModule) -> list[str]:
    """What the kernel has, or could load."""
    present = {
        "overlay": "overlay" in text("/proc/filesystems").split(),
        "bridge-nf": Path("/proc/sys/net/bridge").exists(),
        "conntrack": Path("/proc/sys/net/netfilter").exists(),
    }
    modules = {"overlay": "overlay", "bridge-nf": "br_netfilter", "conntrack": "nf_conntrack"}
    return [name for name, there in present.items() if there or loadable(module, modules[name])]


def loadable(module: AnsibleModule, name: str) -> bool:
    modprobe = module.get_bin_path("modprobe")
    return bool(modprobe) and module.run_command([modprobe, "--dry-run", "--quiet", name])[0] == 0


def has_default_route() -> bool:
    ipv4 = any(line.split()[1] == "00000000" for line in text("/proc/net/route").splitlines()[1:])
    rows = [line.split() for line in text("/proc/net/ipv6_route").splitlines()]
    return ipv4 or any(row[1] == "00" and row[9] != "lo" for row in rows)


def is_local(address: str) -> bool:
    """Only an address of this machine can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def listening_sockets() -> dict[str, int]:
    """The port of each listening TCP socket, by its inode."""
    rows = [
        line.split() for path in ("/proc/net/tcp", "/proc/net/tcp6") for line in text(path).splitlines()[1:]
    ]
    return {row[9]: int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING}


def open_sockets(process: str) -> Iterator[str]:
    """The inodes of the sockets that a process holds; nothing when it has ended meanwhile."""
    try:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:
        return


def strangers(ports: tuple[int, ...]) -> dict[int, str]:
    """Who listens on these ports and is not k3s."""
    wanted = {inode: port for inode, port in listening_sockets().items() if port in ports}
    owners: dict[int, str] = {}
    if not wanted:
        return owners
    for process in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        held = [wanted[inode] for inode in open_sockets(process) if inode in wanted]
        if held and not any(unit in text(f"/proc/{process}/cgroup") for unit in UNITS):
            owners.update(dict.fromkeys(held, f"{text(f'/proc/{process}/comm')} (pid {process})"))
    return owners


def cards(module: AnsibleModule) -> dict[str, list[str]]:
    """Each network interface with its addresses; without addresses where the machine has no iproute2."""
    found: dict[str, list[str]] = {entry.name: [] for entry in Path("/sys/class/net").iterdir()}
    for card in answer(module, "ip", "-json", "address"):
        found[card["ifname"]] = [address["local"] for address in card["addr_info"] if "local" in address]
    return found


def answer(module: AnsibleModule, program: str, *arguments: str) -> Any:
    """What a program says in JSON; nothing when it is missing or fails."""
    path = module.get_bin_path(program, opt_dirs=["/usr/sbin", "/sbin"])
    code, said, _ = module.run_command([path, *arguments]) if path else (1, "", "")
    return json.loads(said) if code == 0 and said.strip() else []


def firewall(module: AnsibleModule, wanted: list[Packet]) -> Firewall | None:
    """The firewall that is on. ufw is asked itself: its rules hold matches that nftables cannot name."""
    ufw = module.get_bin_path("ufw", opt_dirs=["/usr/sbin"])
    by_ufw = closed_by_ufw(module.run_command([ufw, "status", "verbose"])[1], wanted) if ufw else None
    return by_ufw or closed_by_nftables(dict(answer(module, "nft", "--json", "list", "ruleset")), wanted)


def installed_version(module: AnsibleModule) -> str:
    if not Path(K3S).exists():
        return ""
    words = module.run_command([K3S, "--version"])[1].split()
    return str(words[2]) if len(words) > 2 else ""


def look(module: AnsibleModule, wanted: Wanted) -> Facts:
    place = existing(DATA)
    found_cards = cards(module)
    return Facts(
        hostname=socket.gethostname(),
        machine_id=text("/etc/machine-id"),
        architecture=platform.machine(),
        root=os.geteuid() == 0,
        python=(sys.version_info[0], sys.version_info[1]),
        memory_mib=memory_mib(),
        disk_free_gib=shutil.disk_usage(place).free / 2**30,
        disk_path=str(place),
        systemd=Path("/run/systemd/system").exists(),
        controllers=controllers(),
        kernel_features=kernel_features(module),
        default_route=has_default_route(),
        local_addresses=[address for address in wanted.node_addresses if is_local(address)],
        clock_ahead_seconds=time.time() - module.params["operator_time"],
        listeners=strangers(wanted.ports),
        k3s_version=installed_version(module),
        cards=found_cards,
        swap=len(text("/proc/swaps").splitlines()) > 1,
        firewall=firewall(module, wanted.incoming(found_cards)),
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = Wanted(**{name: value for name, value in module.params.items() if name != "operator_time"})
    found = look(module, wanted)
    for note in notes(found):
        module.warn(note)
    module.exit_json(
        changed=False, problems=problems(wanted, found), notes=notes(found), facts=dataclasses.asdict(found)
    )


if __name__ == "__main__":
    main()
