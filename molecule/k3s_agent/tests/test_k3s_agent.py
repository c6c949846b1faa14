"""An agent has joined: the cluster sees it Ready, its pods run, and its token is nobody's business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import testinfra
from tests.support.scenario import converge_again, invocation, kubectl, run_pod

SCENARIO = Path(__file__).parents[1]
TOKEN = "correct-horse-battery-staple"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "on-the-agent"},
    "spec": {
        "nodeName": "agent-1",
        "restartPolicy": "Never",
        "hostNetwork": True,
        "containers": [
            {"name": "main", "image": "", "command": ["sleep", "600"], "imagePullPolicy": "Never"}
        ],
    },
}


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Any:
    inventory = request.config.option.ansible_inventory
    return testinfra.get_host("ansible://server-1", ansible_inventory=inventory)


@pytest.fixture(scope="module")
def agent(request: pytest.FixtureRequest) -> Any:
    inventory = request.config.option.ansible_inventory
    return testinfra.get_host("ansible://agent-1", ansible_inventory=inventory)


def nodes(server: Any) -> dict[str, Any]:
    return {node["metadata"]["name"]: node for node in kubectl(server, "get nodes")["items"]}


def test_the_cluster_sees_the_agent_ready(server: Any) -> None:
    node = nodes(server)["agent-1"]
    assert next(c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready") == "True"
    assert node["metadata"]["labels"]["disk"] == "ssd"


def test_the_agent_has_no_datastore_and_no_admin(agent: Any) -> None:
    with agent.sudo():
        assert not agent.file("/var/lib/rancher/k3s/server/db").exists
        assert not agent.file("/etc/rancher/k3s/k3s.yaml").exists


def test_the_token_is_for_root_only_and_in_no_command_line(agent: Any) -> None:
    with agent.sudo():
        file = agent.file("/etc/rancher/k3s/token")
        assert (file.user, file.mode) == ("root", 0o600)
        shown = agent.check_output("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true")
        assert "k3s" in shown
        assert TOKEN not in shown
        assert TOKEN not in agent.check_output("journalctl --no-pager --output cat")


def test_the_same_again_restarts_nothing(agent: Any) -> None:
    before = invocation(agent, "k3s-agent")
    assert converge_again(SCENARIO, "two_machines.yml").changed_nothing
    assert invocation(agent, "k3s-agent") == before


def test_a_pod_runs_on_the_agent(server: Any) -> None:
    """With an image that the node has, so that nothing is pulled."""
    images = {name for each in nodes(server)["agent-1"]["status"]["images"] for name in each.get("names", [])}
    image = next(name for name in sorted(images) if "busybox" in name and "@" not in name)
    POD["spec"]["containers"][0]["image"] = image  # type: ignore[index]
    run_pod(server, POD)
    assert server.run("sudo k3s kubectl exec on-the-agent -- true").rc == 0, (
        "the API reaches the agent's kubelet"
    )
