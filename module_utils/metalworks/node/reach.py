"""Find out whether machines reach each other on the ports of a cluster: each listens, and the others connect.

No firewall rules are read. Whether a packet arrives shows any firewall, on both machines and between them.
docs/decisions/0010 says why.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import secrets
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.k3s.keys import KUBELET_PORT, REGISTRY_PORT

# An abstract socket: it has a name and no file, and ends with the process.
CONTROL = "\0metalworks-reach"
QUESTION, ANSWER = b"metalworks?", b"metalworks!"
NO_ROUTE = "no route"
CLONE_NEWNET = 0x40000000  # from linux/sched.h; Python has it since 3.12
BRIDGE = "cni0"  # the interface through which pods' traffic comes to a node
Place = Mapping[str, Any]


@dataclass(frozen=True)
class Port:
    """A port of a node, and who connects to it (k3s's page installation/requirements, inbound rules)."""

    number: int
    protocol: str = "tcp"
    servers_only: bool = False
    pods: bool = False


@dataclass(frozen=True)
class Spot:
    """A port at one address of this machine. `held` means that a program listens there already."""

    address: str
    number: int
    protocol: str
    servers_only: bool
    pods: bool
    held: bool


def ports(role: str, etcd: bool, backend: str, registry: bool, api_port: int = 6443) -> list[Port]:
    """Return the ports on which this node must be reached."""
    found = [Port(KUBELET_PORT, pods=True)]
    if role == "server":
        found.append(Port(api_port, pods=True))
        found += [Port(number, servers_only=True) for number in ((2379, 2380) if etcd else ())]
    if registry:
        found.append(Port(REGISTRY_PORT))
    found += {
        "vxlan": [Port(8472, "udp")],
        "wireguard-native": [Port(51820, "udp"), Port(51821, "udp")],
    }.get(backend, [])
    return found


# Listening.


def listen(addresses: Iterable[str], wanted: Sequence[Port], seconds: float) -> tuple[list[Spot], str]:
    """Start a process that listens on free ports for some seconds. Return the spots and a key to stop it.

    The key is empty if programs listen on all ports already.
    """
    spots, sockets = [], []
    for address in addresses:
        for port in wanted:
            bound = _bound(address, port)
            sockets += [bound] if bound else []
            spots.append(
                Spot(address, port.number, port.protocol, port.servers_only, port.pods, held=not bound)
            )
    if not sockets:
        return spots, ""
    key = secrets.token_hex(8)
    control = _listening(socket.socket(socket.AF_UNIX), CONTROL)
    _leave_behind(lambda: _serve(sockets, control, key, seconds))
    for each in (*sockets, control):
        each.close()
    return spots, key


def end() -> str:
    """Stop the process that listens. Return its key, or nothing if there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            control.connect(CONTROL)
            # The ports are free again when the process has closed its end.
            answer = b"".join(iter(lambda: control.recv(64), b""))
    except OSError:
        return ""
    return answer.decode()


def _bound(address: str, port: Port) -> socket.socket | None:
    """Return a socket that is bound to the port; None if a program has it."""
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    made = socket.socket(_family(address), kind)
    try:
        if port.protocol == "tcp":
            return _listening(made, (address, port.number))
        made.bind((address, port.number))
    except OSError:
        made.close()
        return None
    return made


def _listening(made: socket.socket, place: Any) -> socket.socket:
    if made.family != socket.AF_UNIX:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(place)
    made.listen(64)
    return made


def _leave_behind(work: Callable[[], None]) -> None:
    """Run a function in a process of its own, for which Ansible does not wait."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    try:
        work()
    finally:
        os._exit(0)


def _serve(sockets: Sequence[socket.socket], control: socket.socket, key: str, seconds: float) -> None:
    """Accept connections and answer datagrams until the control socket is asked or the time is over."""
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for each in (*sockets, control):
            each.setblocking(False)
            selector.register(each, selectors.EVENT_READ)
        while time.monotonic() < until:
            for ready, _ in selector.select(until - time.monotonic()):
                if ready.fileobj is control:
                    asker = control.accept()[0]
                    for each in sockets:
                        each.close()
                    asker.sendall(key.encode())
                    return
                _answer(ready.fileobj)  # type: ignore[arg-type]


def _answer(asked: socket.socket) -> None:
    try:
        if asked.type == socket.SOCK_STREAM:
            asked.accept()[0].close()
            return
        question, sender = asked.recvfrom(64)
        if question == QUESTION:
            asked.sendto(ANSWER, sender)
    except OSError:
        return  # the client has gone already


# Trying.


def reach(targets: Sequence[Place], seconds: float) -> list[dict[str, Any]]:
    """Return the targets that cannot be reached, each with `how` it failed.

    All are tried at the same time.
    """
    with ThreadPoolExecutor(max_workers=32) as pool:
        answers = pool.map(lambda target: _try(target, seconds), targets)
        return [{**target, "how": how} for target, how in zip(targets, answers) if how]


def _try(target: Place, seconds: float) -> str:
    """Return why a target does not answer; empty if it does."""
    place = (target["address"], target["number"])
    try:
        if target["protocol"] == "tcp":
            with socket.socket(_family(place[0]), socket.SOCK_STREAM) as asking:
                asking.settimeout(seconds)
                asking.connect(place)
            return ""
        with socket.socket(_family(place[0]), socket.SOCK_DGRAM) as asking:
            asking.connect(place)
            return _ask(asking, seconds)
    except OSError as error:
        return NO_ROUTE if error.errno == errno.ENETUNREACH else str(error)


def _ask(asking: socket.socket, seconds: float) -> str:
    """Send a datagram several times, because one may be lost without any firewall."""
    asking.settimeout(seconds / 4)
    for _ in range(4):
        asking.send(QUESTION)
        try:
            if asking.recv(64) == ANSWER:
                return ""
        except socket.timeout:
            continue
    return "timed out"


def reach_as_a_pod(
    run: Run, network: str, targets: Sequence[Place], seconds: float
) -> list[dict[str, Any]] | None:
    """Return the ports of this machine that a pod could not reach; None if that cannot be tried.

    A network namespace gets an address of the pods' network and a link to the machine with the name of the
    pods' bridge. Both end with the process that holds the namespace, even if this one is killed. Nothing is
    tried if there are pods already.
    """
    if run(["ip", "link", "show", BRIDGE])[0] == 0:
        return None
    holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    inside = Path(f"/proc/{holder.pid}/ns/net")
    link = ["ip", "link", "add", BRIDGE, "type", "veth", "peer", "name", "pod0", "netns", str(holder.pid)]
    try:
        if not _appears(lambda: _other_namespace(inside)) or run(link)[0] != 0:
            return None
        try:
            return _reach_from(run, inside, str(ipaddress.ip_network(network)[-2]), targets, seconds)
        finally:
            run(["ip", "link", "delete", BRIDGE])
    finally:
        holder.communicate()


def _reach_from(
    run: Run, inside: Path, pod: str, targets: Sequence[Place], seconds: float
) -> list[dict[str, Any]] | None:
    """Return what cannot be reached from the pod's address, after the link to its namespace is set up."""
    within = ["nsenter", f"--net={inside}", "ip"]
    for command in (
        ["ip", "link", "set", BRIDGE, "up"],
        ["ip", "route", "add", f"{pod}/32", "dev", BRIDGE],
        [*within, "address", "add", f"{pod}/32", "dev", "pod0"],
        [*within, "link", "set", "pod0", "up"],
        [*within, "route", "add", "default", "dev", "pod0"],
    ):
        if run(command)[0] != 0:
            return None
    closed: list[dict[str, Any]] | None = _in_namespace(inside, lambda: reach(targets, seconds))
    return closed


def _appears(there: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not there():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _other_namespace(path: Path) -> bool:
    try:
        return path.readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:
        return False


def _in_namespace(path: Path, work: Callable[[], Any]) -> Any:
    """Run a function in a thread that enters the network namespace; threads that it starts inherit it."""
    results: list[Any] = []

    def enter() -> None:
        with path.open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) == 0:
                results.append(work())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return results[0] if results else None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def as_data(spots: Iterable[Spot]) -> list[dict[str, Any]]:
    """Return the spots as plain data for a module's result."""
    return [asdict(spot) for spot in spots]
