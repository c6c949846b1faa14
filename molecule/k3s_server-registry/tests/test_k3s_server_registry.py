"""A node pulls through a private registry; what keeps it from that is told; only a change restarts k3s."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.playbooks import play
from tests.support.scenario import INVENTORIES, NETWORK, STATE, invocation

SCENARIO = Path(__file__).parents[1]
ROOT = SCENARIO.parents[1]
INVENTORY = INVENTORIES / "one_machine.yml"
REGISTRY = f"{NETWORK}.250:5000"
FOLDER = STATE / "registry"

Rollout = Callable[..., subprocess.CompletedProcess[str]]


def converge(**variables: Any) -> str:
    """Run the role as a person would who changed the inventory, and return what it said."""
    return play(SCENARIO / "converge.yml", INVENTORY, "--diff", **variables).check().output


def password() -> str:
    return (FOLDER / "password").read_text().strip()


@pytest.fixture(scope="module")
def image() -> str:
    """The name of the image in the registry, without the registry's."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"https://{REGISTRY}/v2/jupyter/proxy/tags/list",
            auth=("metalworks", password()),
            verify=str(FOLDER / "ca.crt"),
        )
    (tag,) = answer.json()["tags"]
    return f"jupyter/proxy:{tag}"


def deploy(host: Any, name: str, image: str) -> None:
    """A deployment that pulls its image at each start."""
    container = {"name": "main", "image": image, "command": ["sleep", "600"], "imagePullPolicy": "Always"}
    labels = {"app": name}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }
    host.run(f"sudo k3s kubectl delete deployment {name} --ignore-not-found --cascade=foreground")
    host.check_output("echo %s | sudo k3s kubectl apply --filename -", json.dumps(workload))


@pytest.fixture
def rollout(host: Any, tmp_path: Path) -> Rollout:
    """What the platform's own wait says of a deployment."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    text = host.check_output("sudo cat /etc/rancher/k3s/k3s.yaml")
    kubeconfig.write_text(text.replace("127.0.0.1", f"{NETWORK}.11"))

    def wait(name: str, seconds: int = 120) -> subprocess.CompletedProcess[str]:
        options = f"namespace=default workloads=deployment/{name} timeout={seconds} kubeconfig={kubeconfig}"
        command = ["ansible", "localhost", "-i", INVENTORY, "-m", "k8s_rollout", "-a", options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return wait


class TestPulls:
    def test_a_pod_runs_from_the_mirror(self, host: Any, rollout: Rollout, image: str) -> None:
        deploy(host, "mirrored", f"quay.io/{image}")
        done = rollout("mirrored")
        assert done.returncode == 0, done.stdout

    def test_a_pod_runs_from_the_registry_by_its_own_name(
        self, host: Any, rollout: Rollout, image: str
    ) -> None:
        deploy(host, "direct", f"{REGISTRY}/{image}")
        done = rollout("direct")
        assert done.returncode == 0, done.stdout


def test_the_login_is_for_root_only_and_told_to_nobody(host: Any) -> None:
    with host.sudo():
        for path in ("registries.yaml", "registries.d/*.crt"):
            assert host.check_output(f"stat --format '%U %a' /etc/rancher/k3s/{path}") == "root 600"
        secret = password()
        assert secret in host.file("/etc/rancher/k3s/registries.yaml").content_string
        assert host.run("sudo -u nobody cat /etc/rancher/k3s/registries.yaml").rc != 0
        assert secret not in host.check_output("journalctl --no-pager --output cat")
        assert secret not in host.check_output("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true")


class TestChanges:
    """One after the other, on what the one before left."""

    def test_a_wrong_password_is_told(self, host: Any, rollout: Rollout, image: str) -> None:
        before = invocation(host)
        said = converge(login={"username": "metalworks", "password": "tr0ub4dor"})
        assert invocation(host) != before
        assert password() not in said
        assert "tr0ub4dor" not in said
        deploy(host, "mirrored", f"quay.io/{image}")
        done = rollout("mirrored", seconds=600)
        assert done.returncode != 0
        assert "the registry refuses the login" in done.stdout, done.stdout
        waited = re.search(r"Not rolled out after (\d+) s", done.stdout)
        assert waited
        assert int(waited[1]) < 600, "what no waiting mends is not waited for"

    def test_a_wrong_ca_is_told(self, host: Any, rollout: Rollout, image: str) -> None:
        before = invocation(host)
        other = ROOT / "tests" / "unit" / "k3s" / "ca.crt"
        converge(ca=other.read_text())
        assert invocation(host) != before
        deploy(host, "direct", f"{REGISTRY}/{image}")
        done = rollout("direct", seconds=300)
        assert done.returncode != 0
        assert "does not trust the registry's certificate" in done.stdout, done.stdout

    def test_what_was_right_before_is_right_again(self, host: Any, rollout: Rollout) -> None:
        before = invocation(host)
        converge()
        assert invocation(host) != before
        for name in ("mirrored", "direct"):
            # The kubelet's pauses between two tries grow to five minutes; another pod tries at once.
            host.check_output(f"sudo k3s kubectl rollout restart deployment {name}")
            done = rollout(name)
            assert done.returncode == 0, done.stdout

    def test_the_same_again_restarts_nothing(self, host: Any) -> None:
        before = invocation(host)
        said = converge()
        assert invocation(host) == before
        assert "changed=0" in said

    def test_no_registry_leaves_nothing_behind(self, host: Any) -> None:
        before = invocation(host)
        converge(registries={})
        assert invocation(host) != before
        assert host.check_output("sudo find /etc/rancher/k3s -name 'regist*' -type f") == ""
