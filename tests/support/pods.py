"""Commands in pods, through the cluster's API."""

from __future__ import annotations

from kubernetes.stream import stream

from kubernetes import client


def run_in_pod(
    core: client.CoreV1Api, namespace: str, pod: str, *command: str, container: str | None = None
) -> str:
    """Run a command in a pod, in its first container or another; return what it printed (both streams)."""
    output: str = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        container=container,
        command=list(command),
        stderr=True,
        stdin=False,
        stdout=True,
        tty=False,
    )
    return output
