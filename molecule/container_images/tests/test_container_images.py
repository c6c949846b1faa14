"""The images are on every node, whole and pinned; pods run from them without any pull."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

NODES = ("server-1", "agent-1")
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


@pytest.mark.parametrize("node", NODES)
def test_a_pod_runs_from_the_image_without_a_pull(request: pytest.FixtureRequest, node: str) -> None:
    import testinfra

    server = testinfra.get_host(
        "ansible://server-1", ansible_inventory=request.config.option.ansible_inventory
    )
    pod = f"greeter-{node}"
    container = {"name": "main", "image": named(server, IMAGES[1]), "imagePullPolicy": "Never"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    server.run(f"sudo k3s kubectl delete pod {pod} --ignore-not-found --now")
    server.check_output(f"echo '{json.dumps(manifest)}' | sudo k3s kubectl create --filename -")
    until = time.monotonic() + 60
    phase = ""
    while phase != "Running" and time.monotonic() < until:
        time.sleep(1)
        phase = server.check_output(f"sudo k3s kubectl get pod {pod} --output jsonpath={{.status.phase}}")
    assert phase == "Running", server.run(f"sudo k3s kubectl describe pod {pod}").stdout
    assert server.check_output(f"sudo k3s kubectl exec {pod} -- cat /greeting.txt") == "The image is here."
