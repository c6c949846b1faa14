"""The images are on every node, whole and pinned; pods run from them without any pull."""

from __future__ import annotations

from typing import Any

import pytest
import testinfra
from tests.support.scenario import run_pod

testinfra_hosts = ["ansible://k3s_cluster"]  # the inventory lists localhost, too
NODES = ("server-1", "agent-1")
NAMESPACE = "container-images"
IMAGES = ("metalworks.local/proxy:5.3.0-", "metalworks.local/greeter:2-")


def rows(host: Any) -> dict[str, list[str]]:
    """What containerd says of each image, by name."""
    out = host.check_output("sudo k3s ctr --namespace k8s.io images ls 2>/dev/null")
    return {row[0]: row for row in (line.split() for line in out.splitlines())}


def named(host: Any, beginning: str) -> str:
    """The one image whose name begins so."""
    (name,) = [name for name in rows(host) if name.startswith(beginning)]
    return name


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_is_there_whole(host: Any, image: str) -> None:
    name = named(host, image)
    check = host.check_output(f"sudo k3s ctr --namespace k8s.io images check name=={name} 2>/dev/null")
    (row,) = [line for line in check.splitlines() if line.startswith(name)]
    assert "complete" in row
    assert row.endswith("true"), "unpacked"


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_is_pinned(host: Any, image: str) -> None:
    assert "io.cri-containerd.pinned=pinned" in rows(host)[named(host, image)][-1].split(",")


def test_nothing_of_the_delivery_is_left_behind(host: Any) -> None:
    assert host.check_output("sudo find /home /root -path '*/.ansible/*' -name '*.tar'") == ""


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Any:
    """The server, with a namespace for pods."""
    inventory = request.config.option.ansible_inventory
    found = testinfra.get_host("ansible://server-1", ansible_inventory=inventory)
    if found.run(f"sudo k3s kubectl get namespace {NAMESPACE}").rc:
        found.check_output(f"sudo k3s kubectl create namespace {NAMESPACE}")
    return found


@pytest.mark.parametrize("node", NODES)
def test_a_pod_runs_from_the_image_without_a_pull(server: Any, node: str) -> None:
    pod = f"greeter-{node}"
    container = {"name": "main", "image": named(server, IMAGES[1]), "imagePullPolicy": "Never"}
    run_pod(
        server,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
        },
        NAMESPACE,
    )
    said = server.check_output(f"sudo k3s kubectl exec --namespace {NAMESPACE} {pod} -- cat /greeting.txt")
    assert said == "The image is here."
