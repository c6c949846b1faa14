"""What the contract's tests share: the machines of an inventory, and pods to try k3s with.

They hold k3s, the real one or the lab's stand-in, to what the roles rely on (lab/k3s/CONTRACT.md).
"""

from __future__ import annotations

import base64
import json
import shlex
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import testinfra
import yaml
from tests.support.waiting import wait_for

WAIT_SECONDS = 90


class Machine:
    """One machine, asked as root."""

    def __init__(self, host: Any) -> None:
        self.host = host
        named = self.yaml("/etc/rancher/k3s/config.yaml").get("node-name")
        self.node = str(named or self.run("hostname"))

    def run(self, command: str, *, fails: bool = False) -> str:
        """Run a command that must succeed (or must fail); return all that it said."""
        answer = self.answer(command)
        said = str(answer.stdout) + str(answer.stderr)
        assert (answer.rc != 0) == fails, f"`{command}` ended with {answer.rc}:\n{said}"
        return said if fails else str(answer.stdout).removesuffix("\n")

    def answer(self, command: str) -> Any:
        if self.host.user().name == "root":
            return self.host.run(command)
        with self.host.sudo():
            return self.host.run(command)

    def start(self) -> None:
        """Start k3s; systemd counts starts, and would take those of several tests for a fault."""
        self.run(f"systemctl reset-failed {self.unit}; systemctl start --no-block {self.unit}")
        # systemd starts it anew when a first try fails, as it does where other machines are slow.
        wait_for(
            lambda: self.answer(f"systemctl is-active {self.unit}").rc == 0,
            f"{self.unit} does not start",
        )

    def read(self, path: str) -> str:
        return self.run(f"cat {path}")

    def mode(self, path: str) -> str:
        return self.run(f"stat -c '%U %a' {path}")

    def yaml(self, path: str) -> Any:
        return yaml.safe_load(self.run(f"test ! -e {path} || cat {path}")) or {}

    def write(self, path: str, content: str) -> None:
        encoded = base64.b64encode(content.encode()).decode()
        self.run(f"install -m 0600 /dev/null {path} && echo {encoded} | base64 -d > {path}")

    @property
    def unit(self) -> str:
        return "k3s" if "server" in self.run("ls /var/lib/rancher/k3s") else "k3s-agent"


class Cluster:
    """The cluster, by the kubectl of a server, in a namespace of its own."""

    def __init__(self, server: Machine, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        config = self.get("configmap/local-path-config", namespace="kube-system")
        self.image = str(yaml.safe_load(config["data"]["helperPod.yaml"])["spec"]["containers"][0]["image"])

    def kubectl(self, arguments: str, *, namespace: str = "", fails: bool = False) -> str:
        return self.server.run(f"k3s kubectl -n {namespace or self.namespace} {arguments}", fails=fails)

    def get(self, what: str, *, namespace: str = "") -> Any:
        return json.loads(self.kubectl(f"get {what} -o json", namespace=namespace))

    def apply(self, *objects: dict[str, Any]) -> None:
        encoded = base64.b64encode(yaml.safe_dump_all(objects).encode()).decode()
        self.server.run(f"echo {encoded} | base64 -d | k3s kubectl -n {self.namespace} apply -f -")

    def pod(self, name: str, node: str = "", labels: dict[str, str] | None = None, **spec: Any) -> str:
        """Start a pod that serves its name on port 8080 (called `http`); return its address."""
        serve = f"mkdir -p /tmp/www && echo {name} > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
        container = {
            "name": "main",
            "image": self.image,
            "command": ["sh", "-c", serve],
            "ports": [{"name": "http", "containerPort": 8080}],
            **spec.pop("container", {}),
        }
        selector = {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": labels or {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **selector, **spec},
            }
        )
        self.kubectl(f"wait --for=condition=Ready pod/{name} --timeout={WAIT_SECONDS}s")
        return str(self.get(f"pod/{name}")["status"]["podIP"])

    def ask(self, pod: str, address: str) -> str:
        """What a pod hears from an address within two seconds; nothing if that is not let through."""
        command = f"timeout 2 wget -qO- http://{address}:8080/ 2>/dev/null || true"
        return self.kubectl(f"exec {pod} -- sh -c {shlex.quote(command)}").strip()


def machines(config: pytest.Config, group: str) -> list[Machine]:
    hosts = testinfra.get_hosts([f"ansible://{group}"], ansible_inventory=config.option.inventory)
    return [Machine(host) for host in hosts]


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> list[Machine]:
    return machines(pytestconfig, "k3s_server")


@pytest.fixture(scope="session")
def agents(pytestconfig: pytest.Config) -> list[Machine]:
    return machines(pytestconfig, "k3s_agent")


@pytest.fixture(scope="session")
def server(servers: list[Machine]) -> Machine:
    return servers[0]


@pytest.fixture(scope="session")
def agent(agents: list[Machine]) -> Machine:
    return agents[0]


@pytest.fixture(scope="module")
def cluster(server: Machine) -> Iterator[Cluster]:
    name = f"contract-{uuid.uuid4().hex[:8]}"
    server.run(f"k3s kubectl create namespace {name}")
    found = Cluster(server, name)
    wait_for(lambda: "default" in found.kubectl("get serviceaccounts -o name"), "no default service account")
    yield found
    server.run(f"k3s kubectl delete namespace {name} --wait=false")
