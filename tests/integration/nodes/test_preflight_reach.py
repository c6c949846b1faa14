"""A machine listens for a moment and another one tries: what arrives counts, whatever keeps the rest out."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.node import reach
from ansible.module_utils.metalworks.node.reach import Port, as_data, end, listen, ports
from tests.support.modules import run_module

HERE = "127.0.0.1"
# Both ends of a wire in network namespaces of their own, and a firewall at the far one.
FAR = """
import json, subprocess, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.metalworks.node import reach

def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr

def must(command):
    code, _, error = run(command.split())
    assert code == 0, f"{command}: {error}"

for command in (
    "ip link set lo up",
    "ip link add eth0 type veth peer name eth1",
    "ip address add 10.20.0.1/24 dev eth0",
    "ip link set eth0 up",
    *json.loads(sys.argv[2]),
):
    must(command)
spots, key = reach.listen(["10.20.0.1"], reach.ports("server", False, "vxlan", False), 60)
pods = [spot for spot in reach.as_data(spots) if spot["pods"]]
closed = reach.reach_as_a_pod(run, "10.42.0.0/16", pods, 5.0)
left = run(["ip", "-json", "link"])[1]
print(json.dumps({
    "closed": None if closed is None else sorted(spot["number"] for spot in closed),
    "links": [link["ifname"] for link in json.loads(left)],
    "ended": reach.end() == key,
}))
"""


@pytest.fixture(autouse=True)
def own_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests that run side by side, and a check of this computer, do not end each other's listening."""
    monkeypatch.setattr(reach, "CONTROL", f"\0metalworks-reach-test-{os.getpid()}")
    yield
    end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def targets(*wanted: Port, seconds: float = 60) -> tuple[list[dict[str, Any]], str]:
    spots, key = listen([HERE], wanted, seconds)
    return as_data(spots), key


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_free_port_is_listened_at_until_it_is_ended(protocol: str) -> None:
    spots, key = targets(Port(free_port(), protocol))
    assert [spot["held"] for spot in spots] == [False]
    assert reach.reach(spots, 5) == []
    assert end() == key != ""
    (closed,) = reach.reach(spots, 0.4)
    assert closed["number"] == spots[0]["number"]
    assert closed["how"]
    assert end() == ""


def test_port_that_a_program_holds_is_left_to_it() -> None:
    with socket.create_server((HERE, 0)) as server:
        spots, key = targets(Port(server.getsockname()[1]))
        assert ([spot["held"] for spot in spots], key) == ([True], "")
        assert reach.reach(spots, 5) == []


def test_listening_ends_by_itself() -> None:
    spots, _ = targets(Port(free_port()), seconds=0.05)
    until = time.monotonic() + 60
    while not reach.reach(spots, 5):
        assert time.monotonic() < until


def test_all_targets_are_tried_side_by_side() -> None:
    spots, _ = targets(*(Port(free_port()) for _ in range(40)))
    assert reach.reach([*spots, {**spots[0], "number": free_port()}], 5)[0]["how"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("agent", True, "vxlan", False), ["10250/tcp", "8472/udp"]),
        (("server", False, "host-gw", False), ["10250/tcp", "6443/tcp"]),
        (("server", True, "none", False), ["10250/tcp", "6443/tcp", "2379/tcp", "2380/tcp"]),
        (("server", False, "none", False, 7443), ["10250/tcp", "7443/tcp"]),
        (("agent", False, "wireguard-native", True), ["10250/tcp", "5001/tcp", "51820/udp", "51821/udp"]),
    ],
)
def test_ports_follow_from_the_configuration(arguments: tuple[Any, ...], expected: list[str]) -> None:
    assert [f"{port.number}/{port.protocol}" for port in ports(*arguments)] == expected


def test_etcd_is_for_servers_only() -> None:
    asked = ports("server", True, "vxlan", True)
    assert [port.number for port in asked if port.servers_only] == [2379, 2380]
    assert [port.number for port in asked if port.pods] == [10250, 6443]


def test_module_tries_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    spots, key = targets(Port(free_port()))
    away = {**spots[0], "number": free_port(), "host": "other"}
    answer = run_module("preflight_reach", {"targets": [*spots, away]}, capsys)
    assert [spot["host"] for spot in answer["closed"]] == ["other"]
    assert not answer["changed"]
    assert run_module("preflight_reach", {"state": "ended"}, capsys)["key"] == key


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip", "iptables"))),
    reason="network namespaces and a firewall need root, iproute2 and iptables",
)
@pytest.mark.parametrize(
    ("rules", "closed"),
    [
        ([], []),
        (["iptables -A INPUT -s 10.42.0.0/16 -p tcp --dport 10250 -j DROP"], [10250]),
        (["iptables -P INPUT DROP", "iptables -A INPUT -i cni0 -p tcp --dport 6443 -j ACCEPT"], [10250]),
        (["iptables -P INPUT DROP", "iptables -A INPUT -s 10.42.0.0/16 -j ACCEPT"], []),
        (["ip link add cni0 type veth peer name cni1"], None),
    ],
)
def test_what_a_firewall_keeps_from_pods_is_found(rules: list[str], closed: list[int] | None) -> None:
    utils = Path(__file__).resolve().parents[3] / "module_utils"
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", FAR, str(utils), json.dumps(rules)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["closed"] == closed
    assert answer["ended"]
    assert ("cni0" in answer["links"]) == (closed is None), "the link of the pod's place is left behind"
