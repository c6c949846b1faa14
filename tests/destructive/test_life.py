"""What users keep: a home outlives the culling of its server and the restart of all machines."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from running import LAB, ROOT, make, play

STATE = ROOT / "inventories" / "lab" / ".state" / LAB
MACHINES = [f"{LAB}-metal-1", f"{LAB}-metal-2"]
USER = "user1"


class Hub:
    """The hub's REST API with the platform's own token."""

    def __init__(self) -> None:
        self.url = json.loads((STATE / "platform.json").read_text())["hub_url"].rstrip("/") + "/hub/api"
        token = (STATE / "secrets" / "hub_api_token").read_text().split()[0]
        self.headers = {"Authorization": f"token {token}"}

    def user(self) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/users/{USER}", headers=self.headers, timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def start(self) -> None:
        body = {"profile": "minimal"}
        requests.post(f"{self.url}/users/{USER}/server", headers=self.headers, json=body, timeout=30)
        wait_for(lambda: self.user()["servers"].get("", {}).get("ready"), "the server does not start")

    def answers(self) -> bool:
        try:
            return bool(self.user())
        except requests.RequestException:
            return False


def wait_for(holds: Callable[[], Any], otherwise: str, seconds: int = 180) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{otherwise} (waited {seconds} s)"
        time.sleep(1)


def kubectl(*arguments: str) -> str:
    command = ["docker", "exec", MACHINES[0], "k3s", "kubectl", "--namespace", "jupyterhub", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    make("up")
    hub = Hub()
    # The hub knows a user from the first login on.
    requests.post(f"{hub.url}/users/{USER}", headers=hub.headers, timeout=30)
    yield hub
    make("down")


def test_idle_server_is_culled_and_its_home_kept(hub: Hub) -> None:
    hub.start()
    kubectl("exec", f"jupyter-{USER}", "--", "sh", "-c", "echo kept > /home/jovyan/mark")
    soon = {"jupyterhub_cull_timeout_seconds": 15, "jupyterhub_cull_every_seconds": 5}
    play("playbooks/jupyterhub.yml", "--extra-vars", json.dumps(soon))
    wait_for(lambda: hub.answers() and not hub.user()["servers"], "the idle server is not culled")
    play("playbooks/jupyterhub.yml")
    hub.start()
    assert kubectl("exec", f"jupyter-{USER}", "--", "cat", "/home/jovyan/mark").strip() == "kept"


def test_home_and_hub_outlive_a_restart_of_all_machines(hub: Hub) -> None:
    hub.start()
    kubectl("exec", f"jupyter-{USER}", "--", "sh", "-c", "echo again > /home/jovyan/mark")
    subprocess.run(["docker", "restart", *MACHINES], check=True, capture_output=True)
    make("up")
    wait_for(hub.answers, "the hub does not come back")
    requests.delete(f"{hub.url}/users/{USER}/server", headers=hub.headers, timeout=60)
    wait_for(lambda: not hub.user()["servers"], "the old server is not forgotten")
    hub.start()
    assert kubectl("exec", f"jupyter-{USER}", "--", "cat", "/home/jovyan/mark").strip() == "again"
