"""What k3s leaves running belongs to k3s alone: users' volumes and others' rules, mounts and links stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s.remains import (
    SOCKET,
    Process,
    Remains,
    files_of_k3s,
    links_of_k3s,
    mounts_of_k3s,
    processes_of_k3s,
    read_processes,
    rules_that_stay,
)

DATA = "/srv/k3s"


def test_pods_end_with_their_shims_and_others_do_not() -> None:
    processes = [
        Process(1, 0, ["/sbin/init"]),
        Process(10, 1, ["/usr/bin/containerd-shim-runc-v2", "-address", "/run/containerd/containerd.sock"]),
        Process(11, 10, ["nginx"]),
        Process(20, 1, ["/x/containerd-shim-runc-v2", "-id", "a", "-address", SOCKET]),
        Process(21, 20, ["/pause"]),
        Process(22, 20, ["python3"]),
        Process(23, 22, ["python3", "child"]),
        Process(30, 1, [f"{DATA}/data/0123/bin/containerd", "-c", "config.toml"]),
        Process(40, 1, ["vim", f"{DATA}/data/notes"]),
        Process(50, 2, []),
    ]
    assert processes_of_k3s(processes, DATA) == [21, 23, 22, 20, 30]


def test_this_process_is_among_those_that_are_read() -> None:
    assert any("pytest" in " ".join(process.command) for process in read_processes())


def test_mounts_are_those_below_k3s_deepest_first() -> None:
    table = """\
/dev/sda1 / ext4 rw 0 0
/dev/sdb1 /srv/k3s ext4 rw 0 0
/dev/sdc1 /srv/k3s/storage ext4 rw 0 0
/dev/sdd1 /srv/k3s/storage/pvc-1 ext4 rw 0 0
shm /run/k3s/containerd/io.containerd.grpc.v1.cri/sandboxes/a/shm tmpfs rw 0 0
overlay /run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/a/rootfs overlay rw 0 0
tmpfs /var/lib/kubelet/pods/1/volumes/a\\040b tmpfs rw 0 0
tmpfs /var/lib/kubelet-of-others/x tmpfs rw 0 0
tmpfs /srv/k3s-backup/x tmpfs rw 0 0
nsfs /run/docker/netns/x nsfs rw 0 0
"""
    assert mounts_of_k3s(table, DATA) == [
        "/var/lib/kubelet/pods/1/volumes/a b",
        "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/a/rootfs",
        "/run/k3s/containerd/io.containerd.grpc.v1.cri/sandboxes/a/shm",
    ]


def test_links_are_flannels_and_those_on_the_bridge_of_pods() -> None:
    links = [
        {"ifname": "lo"},
        {"ifname": "eth0"},
        {"ifname": "flannel.1"},
        {"ifname": "cni0"},
        {"ifname": "veth12", "master": "cni0"},
        {"ifname": "veth34", "master": "docker0"},
    ]
    assert links_of_k3s(links) == ["flannel.1", "cni0", "veth12"]


def test_rules_of_others_stay() -> None:
    saved = """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:FLANNEL-POSTRTG - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
-A CNI-HOSTPORT-DNAT -j CNI-DN-1
COMMIT
"""
    lines = [saved.splitlines()[index] for index in (0, 1, 4, 7, 9)]
    assert rules_that_stay(saved) == "\n".join([*lines, ""])
    assert "MASQUERADE" in lines[3]
    assert rules_that_stay("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n") is None


def test_users_volumes_files_of_others_and_drop_ins_stay(tmp_path: Path) -> None:
    for name in ("data/agent", "data/server", "data/storage/pvc-1", "data/photos", "etc/k3s/config.yaml.d"):
        (tmp_path / name).mkdir(parents=True)
    files = files_of_k3s(
        "k3s.service", tmp_path / "systemd", tmp_path / "etc/k3s/config.yaml", "/t", str(tmp_path / "data")
    )
    inside = [str(path.relative_to(tmp_path)) for path in files if tmp_path in path.parents]
    assert inside == [
        "systemd/k3s.service",
        "systemd/k3s.service.env",
        "etc/k3s/config.yaml",
        "etc/k3s/registries.yaml",
        "etc/k3s/registries.d",
        "etc/k3s/k3s.yaml",
        "etc/node",
        "data/agent",
        "data/server",
    ]


@pytest.mark.parametrize(
    ("remains", "sentences"),
    [
        ({}, []),
        (
            {"processes": [1, 2], "links": ["cni0"], "rules": {"iptables-restore": ""}, "files": ["/x"]},
            ["2 processes of pods and containerd", "network interface cni0", "rules of iptables", "/x"],
        ),
    ],
)
def test_what_goes_is_told(remains: dict[str, Any], sentences: list[str]) -> None:
    assert Remains(**remains).sentences() == sentences
