"""The store of logs of the scenario: what it finds, and what pods write that it has to find."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.logging.search import parse
from ansible.module_utils.metalworks.logging.store import Line, LogStore
from tests.support.scenario import CONTEXT, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

NAMESPACE = "logging"
WRITERS = "writers"
# Who asks the login for what, and whether it is answered. The door says who it is by its secret.
ACCESS = [
    ("reader", "/select/logsql/query?query=*&limit=1", True),
    ("reader", "/insert/jsonline", False),
    ("reader", "/metrics", False),
    ("writer", "/insert/jsonline", True),
    ("writer", "/select/logsql/query?query=*&limit=1", False),
    ("door", "/select/logsql/query?query=*&limit=1", True),
    ("door", "/", True),
    ("door", "/select/vmui/", True),
    ("door", "/insert/jsonline", False),
    ("door", "/internal/force_flush", False),
    ("nobody", "/", False),
    ("nobody", "/select/vmui/", False),
    ("nobody", "/select/logsql/query?query=*&limit=1", False),
    ("nobody", "/-/reload", False),
]


@contextlib.contextmanager
def store() -> Iterator[LogStore]:
    """The store that runs now, on a port of this computer."""
    with LogStore.opened(KubernetesApi(str(KUBECONFIG), CONTEXT), NAMESPACE) as found:
        yield found


def search(text: str) -> list[Line]:
    """What a search finds now."""
    wanted = parse(text)
    with store() as found:
        return found.lines(wanted, wanted.seconds)


def find(text: str, seconds: float = 90) -> list[Line]:
    """What a search finds, as soon as it finds something."""
    return wait_for(lambda: search(text), f"nothing is found by {text}", seconds, every=1)


def counted(mark: str) -> tuple[int, int]:
    """How many lines with a mark were found, and how many different ones."""
    query = f'"{mark}" | stats count() n, count_uniq_hash(_msg) unique'
    with store() as found:
        (answer,) = found.request("GET", "/select/logsql/query", query=query, start="1d")
    return int(answer["n"]), int(answer["unique"])


def busybox(core: client.CoreV1Api) -> str:
    """An image with a shell that is on each node."""
    images = [name for each in core.list_node().items[0].status.images for name in each.names]
    return next(name for name in sorted(images) if "busybox" in name and "@" not in name)


def write(core: client.CoreV1Api, name: str, script: str, namespace: str = WRITERS, **metadata: Any) -> None:
    """Let a pod run a script of the shell, in place of an earlier one of that name."""
    with contextlib.suppress(client.ApiException):
        core.create_namespace({"metadata": {"name": namespace}})
    gone(core, name, namespace)
    container = {"name": "sh", "image": busybox(core), "command": ["sh", "-c", script]}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    core.create_namespaced_pod(namespace, {"metadata": {"name": name, **metadata}, "spec": spec})


def gone(core: client.CoreV1Api, name: str, namespace: str = WRITERS) -> None:
    """Remove a pod, and wait for its end."""

    def is_gone() -> bool:
        try:
            core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
        except client.ApiException as error:
            return bool(error.status == 404)
        return False

    wait_for(is_gone, f"the pod {name} does not end")


def phase(core: client.CoreV1Api, name: str, namespace: str = WRITERS) -> str:
    """What the API says of a pod."""
    return str(core.read_namespaced_pod(name, namespace).status.phase)


def numbered(mark: str, lines: int, padding: int = 0, pause_every: int = 250) -> str:
    """A script that writes numbered lines, some hundred each second, each with so many further bytes."""
    return (
        f"pad=$(printf '%{padding}s' '' | tr ' ' x); i=0; while [ $i -lt {lines} ]; do "
        f'i=$((i+1)); echo "{mark} $HOSTNAME $i $pad"; '
        f"[ $((i % {pause_every})) -ne 0 ] || sleep 0.5; done"
    )
