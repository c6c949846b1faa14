"""What a killed Helm leaves behind is mended; a refusal and a rollout that fails are told, without secrets.

A killed Helm is made without a clock: a hook of the chart never ends, so that Helm waits in it and is killed
when its record says what it is doing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.scenario import CONTEXT, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule" / "helm_release"
CHART = SCENARIO / "chart"
PASSWORD = "open-sesame-2026"


@pytest.fixture(scope="module")
def helm() -> list[str]:
    """The command, as the role gives it."""
    built = [sys.executable, ROOT / "lab" / "build.py", "--path", "helm"]
    path = subprocess.run(built, capture_output=True, text=True, check=True).stdout.strip()
    return [path, "--kubeconfig", str(KUBECONFIG), "--kube-context", CONTEXT]


@pytest.fixture
def namespace(core: client.CoreV1Api, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, in which nothing of an earlier test is left."""
    name = request.node.name.split("[")[0].replace("_", "-")[:60].strip("-")
    core.create_namespace({"metadata": {"name": name}})
    yield name
    core.delete_namespace(name, grace_period_seconds=0)


def play(namespace: str, *options: str, **values: Any) -> subprocess.CompletedProcess[str]:
    """Run the role as converge.yml does, with other values."""
    given = json.dumps({"release_namespace": namespace, "release_values": values})
    inventory = ROOT / "molecule" / "shared" / "inventory" / "cluster.yml"
    command = [sys.executable, "-m", "ansible", "playbook", "-i", inventory, *options, "-e", given]
    return subprocess.run([*command, SCENARIO / "converge.yml"], capture_output=True, text=True, cwd=ROOT)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a run printed, each blank and line break as one space: messages are folded."""
    return " ".join(f"{done.stdout} {done.stderr}".split())


def states(api: client.ApiClient, namespace: str) -> dict[int, str]:
    """The state of each revision, as Helm recorded it."""
    secrets = (
        client.CoreV1Api(api).list_namespaced_secret(namespace, label_selector="owner=helm,name=web").items
    )
    return {int(each.metadata.labels["version"]): each.metadata.labels["status"] for each in secrets}


def deployments(api: client.ApiClient, namespace: str) -> list[str]:
    found = client.AppsV1Api(api).list_namespaced_deployment(namespace).items
    return [each.metadata.name for each in found if each.status.available_replicas == 1]


def kill_when(api: client.ApiClient, namespace: str, state: str, command: list[Any]) -> None:
    """Start Helm, and kill it when its last record has this state."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def is_hanging() -> bool:
        assert process.poll() is None, f"Helm ended by itself: {process.stdout and process.stdout.read()}"
        return state in states(api, namespace).values()

    wait_for(is_hanging, lambda: f"no record is {state}: {states(api, namespace)}")
    process.kill()
    process.communicate()
    assert states(api, namespace)[max(states(api, namespace))] == state, "the killed operation left no trace"


def test_the_release_runs(api: client.ApiClient) -> None:
    assert deployments(api, "web") == ["web"]
    assert states(api, "web") == {1: "deployed"}, "a check and a second run are no revisions"


def test_a_killed_upgrade_is_mended(api: client.ApiClient, helm: list[str], namespace: str) -> None:
    assert play(namespace).returncode == 0
    upgrade = [*helm, "upgrade", "web", CHART, "--namespace", namespace, "--reuse-values"]
    kill_when(api, namespace, "pending-upgrade", [*upgrade, "--set", "hang=pre-upgrade"])
    refused = subprocess.run([*upgrade, "--install"], capture_output=True, text=True)
    assert "another operation (install/upgrade/rollback) is in progress" in refused.stderr

    done = play(namespace, password="other-word-2026")

    assert done.returncode == 0, said(done)
    assert "Roll back to revision 1 - revision 2 is pending-upgrade" in said(done)
    assert states(api, namespace)[4] == "deployed", "3 is the rollback, 4 is what was wanted"
    assert deployments(api, namespace) == ["web"]


def test_a_killed_first_installation_is_mended(
    api: client.ApiClient, helm: list[str], namespace: str
) -> None:
    install = [*helm, "install", "web", CHART, "--namespace", namespace, "--set", "hang=pre-install"]
    kill_when(api, namespace, "pending-install", install)

    done = play(namespace)

    assert done.returncode == 0, said(done)
    assert "Forget revision 1 - revision 1 is pending-install" in said(done)
    assert states(api, namespace) == {1: "deployed"}
    assert deployments(api, namespace) == ["web"]


def test_a_killed_uninstallation_is_undone(api: client.ApiClient, helm: list[str], namespace: str) -> None:
    assert play(namespace, hang="post-delete").returncode == 0
    kill_when(api, namespace, "uninstalling", [*helm, "uninstall", "web", "--namespace", namespace])

    done = play(namespace, hang="post-delete")

    assert done.returncode == 0, said(done)
    assert "Roll back to revision 1 - revision 1 is uninstalling" in said(done)
    assert states(api, namespace)[2] == "deployed"
    assert deployments(api, namespace) == ["web"], "what Helm had deleted is back"
    assert "changed=0" in said(play(namespace, hang="post-delete"))


def test_a_release_that_was_uninstalled_with_its_history_is_installed_again(
    api: client.ApiClient, helm: list[str], namespace: str
) -> None:
    assert play(namespace).returncode == 0
    uninstall = [*helm, "uninstall", "web", "--namespace", namespace, "--keep-history"]
    subprocess.run(uninstall, check=True, capture_output=True)
    assert states(api, namespace) == {1: "uninstalled"}

    done = play(namespace)

    assert done.returncode == 0, said(done)
    assert states(api, namespace)[2] == "deployed"
    assert deployments(api, namespace) == ["web"]


def test_a_refused_value_is_told_without_its_secret(namespace: str) -> None:
    done = play(namespace, "-vv", refuse=True)
    assert done.returncode != 0
    assert "was not applied as release web" in said(done)
    assert "the password <password> is refused" in said(done)
    assert PASSWORD not in said(done)


def test_a_check_shows_no_secret_and_changes_nothing(api: client.ApiClient, namespace: str) -> None:
    done = play(namespace, "--check", "--diff", "-vv")
    assert done.returncode == 0, said(done)
    assert PASSWORD not in said(done)
    assert states(api, namespace) == {}


def test_a_rollout_that_fails_is_explained_and_the_next_one_succeeds(
    api: client.ApiClient, namespace: str
) -> None:
    failed = play(namespace, image="nowhere.invalid/none:1")
    assert failed.returncode != 0
    assert "Not rolled out after" in said(failed)
    assert "deployment/web wants 1 pods: 0 available" in said(failed)
    assert "The likely cause: the image is not on the node" in said(failed)
    assert "nowhere.invalid/none:1" in said(failed)

    done = play(namespace)

    assert done.returncode == 0, said(done)
    assert deployments(api, namespace) == ["web"]
