"""Commands in pods, through the cluster's API."""

from __future__ import annotations

from kubernetes.stream import stream

from kubernetes import client


def run_in_pod(
    core: client.CoreV1Api, namespace: str, pod: str, *command: str, container: str | None = None
) -> str:
    """Run a command in a pod, in its first container or another; return what it printed (both streams)."""
    # While it connects, stream() changes its ApiClient, so that no other thread may use that one.
    own = client.CoreV1Api(client.ApiClient(core.api_client.configuration))
    # Read by hand, because the client takes output that is JSON apart, and returns Python's writing of it.
    connection = stream(
        own.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        container=container,
        command=list(command),
        stderr=True,
        stdin=False,
        stdout=True,
        tty=False,
        _preload_content=False,
    )
    connection.run_forever()
    return connection.read_all()
