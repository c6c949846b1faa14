"""Every machine: the executable, its configuration, containerd."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import TRIED, Machine


@pytest.fixture(scope="module", params=["server", "agent"])
def machine(request: pytest.FixtureRequest) -> Machine:
    return request.getfixturevalue(request.param)


def test_the_first_line_of_version_names_it(machine: Machine) -> None:
    first = machine.run("/usr/local/bin/k3s --version").splitlines()[0]
    assert re.fullmatch(r"k3s version v\d+\.\d+\.\d+\+\S+ \(.+\)", first)


def test_the_unit_is_ready_by_notification_and_leaves_pods_alone(machine: Machine) -> None:
    shown = machine.run(f"systemctl show {machine.unit} -p Type,KillMode,Delegate,ActiveState")
    assert set(shown.split()) == {"Type=notify", "KillMode=process", "Delegate=yes", "ActiveState=active"}


@pytest.mark.stand_in  # k3s finds such faults later, when a server runs beside the node that is there
@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("etcd-s3: true", "etcd-s3: k3s has this key, but the stand-in does not honour it"),
        ("cluster-cidr: 10.43.0.0/16", "overlap"),
        ("cluster-init: perhaps", "not true or false"),
        ("flannel-iface: no-such-card", "no-such-card"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(machine: Machine, written: str, told: str) -> None:
    machine.write("/tmp/contract.yaml", f"data-dir: {TRIED}\ndisable: [traefik, servicelb]\n{written}\n")
    try:
        said = machine.run("timeout 20 k3s server --config /tmp/contract.yaml", fails=True)
        assert told in said
        machine.run(f"test ! -e {TRIED}")
    finally:
        machine.run(f"rm -rf /tmp/contract.yaml {TRIED}")


def test_ctr_speaks_to_the_containerd_of_the_pods(machine: Machine) -> None:
    assert "pause" in machine.run("k3s ctr images ls -q")
    explicit = "k3s ctr --address /run/k3s/containerd/containerd.sock --namespace k8s.io images ls -q"
    assert machine.run(explicit) == machine.run("k3s ctr images ls -q")


def test_images_of_the_archive_are_pinned(machine: Machine) -> None:
    archives = machine.run(f"ls {machine.data}/agent/images 2>/dev/null || true").split()
    if not any(".tar" in name for name in archives):
        pytest.skip("this node was given no archive")
    rows = machine.run("k3s ctr images ls").splitlines()[1:]
    delivered = [row for row in rows if "io.cattle.k3s.pinned=pinned" in row]
    assert delivered
    assert [row.split()[0] for row in delivered if "io.cri-containerd.pinned=pinned" not in row] == []


def test_containerd_is_new_enough_to_honour_pins(machine: Machine, server: Machine) -> None:
    node = json.loads(server.run(f"k3s kubectl get node {machine.node} -o json"))
    version = node["status"]["nodeInfo"]["containerRuntimeVersion"]
    assert int(version.removeprefix("containerd://").split(".")[0]) >= 2


def test_the_node_password_is_kept_for_root_only(machine: Machine, server: Machine) -> None:
    assert machine.mode("/etc/rancher/node/password") == "root 600"
    secret = f"secret/{machine.node}.node-password.k3s"
    found = json.loads(server.run(f"k3s kubectl get -n kube-system {secret} -o json"))
    assert set(found["data"]) == {"hash"}
