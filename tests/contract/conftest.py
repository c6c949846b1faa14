"""What the contract's tests share: the machines of an inventory, and pods to try k3s with.

They hold k3s, the real one or the lab's stand-in, to what the roles rely on (lab/k3s/CONTRACT.md). They may
be pointed at a real cluster: they restart services and take a node out for a moment, and put back what they
changed. What only the stand-in does is marked `stand_in`, and skipped elsewhere.
"""

from __future__ import annotations

import base64
import json
import shlex
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pytest
import testinfra
import yaml
from tests.support.waiting import wait_for

WAIT_SECONDS = 90
# How long one question may take. A slow machine needs seconds, so silence before that means nothing.
ANSWER_SECONDS = 10
CONFIG = "/etc/rancher/k3s/config.yaml"
# A configuration that must be refused is tried with a data folder of its own: the node's is not touched.
TRIED = "/tmp/contract-data"


class Machine:
    """One machine, asked as root."""

    def __init__(self, host: Any) -> None:
        """Read what the machine's configuration says."""
        self.host = host
        self.is_root = host.user().name == "root"
        self.config = self.yaml(CONFIG)
        self.node = str(self.config.get("node-name") or self.run("hostname"))
        self.data = str(self.config.get("data-dir", "/var/lib/rancher/k3s"))
        self.port = int(self.config.get("https-listen-port", 6443))

    def run(self, command: str, *, fails: bool = False) -> str:
        """Run a command that must succeed (or must fail); return all that it said."""
        answer = self.answer(command)
        said = str(answer.stdout) + str(answer.stderr)
        assert (answer.rc != 0) == fails, f"`{command}` ended with {answer.rc}:\n{said}"
        return said if fails else str(answer.stdout).removesuffix("\n")

    def answer(self, command: str) -> Any:
        """Run a command as root, whatever it ends with. sudo may not search the folder of k3s."""
        command = f"export PATH=$PATH:/usr/local/bin; {command}"
        if self.is_root:
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

    def restart(self) -> str:
        """Restart k3s, wait until it is ready, and return what it has said since."""
        self.run(f"systemctl stop {self.unit}")
        self.start()
        invocation = self.run(f"systemctl show -P InvocationID {self.unit}")
        return self.run(f"journalctl --quiet --no-pager _SYSTEMD_INVOCATION_ID={invocation}")

    def read(self, path: str) -> str:
        """Return a file's content."""
        return self.run(f"cat {path}")

    def mode(self, path: str) -> str:
        """Return the owner and the mode of a file, or of what a link leads to."""
        return self.run(f"stat -L -c '%U %a' {path}")

    def yaml(self, path: str) -> Any:
        """Return what a YAML file holds; nothing where there is none."""
        return yaml.safe_load(self.run(f"test ! -e {path} || cat {path}")) or {}

    def write(self, path: str, content: str) -> None:
        """Write a file that only root can read, and its folder."""
        encoded = base64.b64encode(content.encode()).decode()
        self.run(f"install -D -m 0600 /dev/null {path} && echo {encoded} | base64 -d > {path}")

    @property
    def disabled(self) -> list[str]:
        """Return the bundled components that are disabled; k3s takes a list, or a text with commas."""
        given = self.config.get("disable", [])
        return [each for text in ([given] if isinstance(given, str) else given) for each in text.split(",")]

    @cached_property
    def unit(self) -> str:
        """Return the name of k3s's unit on this machine."""
        return "k3s" if self.answer("systemctl cat k3s.service").rc == 0 else "k3s-agent"


class Cluster:
    """The cluster, by the kubectl of a server, in a namespace of its own."""

    def __init__(self, server: Machine, namespace: str) -> None:
        """Take the image for pods from the storage provisioner, which has a shell in it."""
        self.server = server
        self.namespace = namespace
        if "local-storage" in server.disabled:
            pytest.skip("the pods of these tests take their image from local-storage, which is disabled")
        config = self.get("configmap/local-path-config", namespace="kube-system")
        self.image = str(yaml.safe_load(config["data"]["helperPod.yaml"])["spec"]["containers"][0]["image"])

    def kubectl(self, arguments: str, *, namespace: str = "", fails: bool = False) -> str:
        """Run kubectl in the namespace."""
        return self.server.run(f"k3s kubectl -n {namespace or self.namespace} {arguments}", fails=fails)

    def get(self, what: str, *, namespace: str = "") -> Any:
        """Return an object of the API."""
        return json.loads(self.kubectl(f"get {what} -o json", namespace=namespace))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects."""
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
        """What a pod hears from an address; nothing if that is not let through.

        A pod that cannot ask at all ends the test, because its silence would look like a block.
        """
        ask = f"timeout {ANSWER_SECONDS} wget -qO- http://{address}:8080/ 2>/dev/null || true"
        command = f"command -v wget >/dev/null && command -v timeout >/dev/null || exit 9; {ask}"
        return self.kubectl(f"exec {pod} -- sh -c {shlex.quote(command)}").strip()


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of what only the stand-in does."""
    config.addinivalue_line("markers", "stand_in: expects what the lab's stand-in does and k3s need not do")


@pytest.fixture(autouse=True)
def only_where_it_holds(request: pytest.FixtureRequest) -> None:
    """Skip what only the stand-in does where k3s is the real one."""
    if request.node.get_closest_marker("stand_in"):
        server: Machine = request.getfixturevalue("server")
        if "stand-in" not in server.run("k3s --version"):
            pytest.skip("this is the real k3s")


def machines(config: pytest.Config, group: str) -> list[Machine]:
    """Return the machines of a group of the inventory."""
    hosts = testinfra.get_hosts([f"ansible://{group}"], ansible_inventory=config.option.ansible_inventory)
    return [Machine(host) for host in hosts]


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> list[Machine]:
    """Return all servers."""
    return machines(pytestconfig, "k3s_server")


@pytest.fixture(scope="session")
def agents(pytestconfig: pytest.Config) -> list[Machine]:
    """Return all agents."""
    return machines(pytestconfig, "k3s_agent")


@pytest.fixture(scope="session")
def server(servers: list[Machine]) -> Machine:
    """Return the first server."""
    return servers[0]


@pytest.fixture(scope="session")
def agent(agents: list[Machine]) -> Machine:
    """Return the first agent."""
    return agents[0]


@contextmanager
def namespace(server: Machine) -> Iterator[Cluster]:
    """Yield the cluster with a namespace that is removed afterwards."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    server.run(f"k3s kubectl create namespace {name}")
    found = Cluster(server, name)
    wait_for(lambda: "default" in found.kubectl("get serviceaccounts -o name"), "no default service account")
    yield found
    server.run(f"k3s kubectl delete namespace {name} --wait=false")


@pytest.fixture(scope="module")
def cluster(server: Machine) -> Iterator[Cluster]:
    """Return the cluster, with a namespace for the tests of a file."""
    with namespace(server) as found:
        yield found
