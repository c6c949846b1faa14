"""What users keep: a home outlives the culling of its server and the restart of all machines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from running import LAB, ROOT, make, play
from tests.support.hub import Hub
from tests.support.waiting import wait_for

STATE = ROOT / "inventories" / "lab" / ".state" / LAB
MACHINES = [f"{LAB}-metal-1", f"{LAB}-metal-2"]
USER = "user1"


def kubectl(*arguments: str) -> str:
    command = ["docker", "exec", MACHINES[0], "k3s", "kubectl", "--namespace", "jupyterhub", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    make("up")
    url = json.loads((STATE / "platform.json").read_text())["hub_url"]
    hub = Hub(url, (STATE / "secrets" / "hub_api_token").read_text().split()[0])
    hub.ask("POST", f"/users/{USER}")  # the hub knows a user from the first login on
    yield hub
    make("down")


def test_idle_server_is_culled_and_its_home_kept(hub: Hub) -> None:
    hub.start(USER, "minimal")
    kubectl("exec", f"jupyter-{USER}", "--", "sh", "-c", "echo kept > /home/jovyan/mark")
    soon = {"jupyterhub_cull_timeout_seconds": 15, "jupyterhub_cull_every_seconds": 5}
    play("playbooks/jupyterhub.yml", "--extra-vars", json.dumps(soon))
    wait_for(lambda: hub.answers() and not hub.servers(USER), "the idle server is not culled", 300)
    play("playbooks/jupyterhub.yml")
    hub.start(USER, "minimal")
    assert kubectl("exec", f"jupyter-{USER}", "--", "cat", "/home/jovyan/mark").strip() == "kept"


def test_home_and_hub_outlive_a_restart_of_all_machines(hub: Hub) -> None:
    hub.stop(USER)  # the test before this one leaves it running
    hub.start(USER, "minimal")
    kubectl("exec", f"jupyter-{USER}", "--", "sh", "-c", "echo again > /home/jovyan/mark")
    subprocess.run(["docker", "restart", *MACHINES], check=True, capture_output=True)
    make("up")
    wait_for(hub.answers, "the hub does not come back", 300)
    hub.stop(USER)
    hub.start(USER, "minimal")
    assert kubectl("exec", f"jupyter-{USER}", "--", "cat", "/home/jovyan/mark").strip() == "again"
