"""A port of a pod, on this computer: what `kubectl port-forward` does, for modules.

It needs no address of the cluster but the API's, so it works wherever the kubeconfig does. The protocol is
Kubernetes' own over a websocket (`v4.channel.k8s.io`): each message begins with the number of its channel, 0
for data and 1 for errors, and the first message of a channel repeats the port.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from ..common.json_api import JsonApi
from .api import ApiError, KubernetesApi

DATA, ERROR = 0, 1
CHUNK = 64 * 1024
# How long a client may go on sending that has been answered, or whose pod has ended.
LINGER_SECONDS = 10


def ready_pods(api: KubernetesApi, namespace: str, selector: str) -> list[str]:
    """Return the names of the pods that are Ready; ApiError says that there is none."""
    pods = api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]
    found = [str(pod["metadata"]["name"]) for pod in pods if is_ready(pod)]
    if not found:
        raise ApiError(f"no pod with {selector} in the namespace {namespace} is Ready")
    return found


def is_ready(pod: dict[str, Any]) -> bool:
    """Tell whether a pod takes requests: it is Ready, and is not being deleted."""
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions") or []}
    return conditions.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp")


@contextlib.contextmanager
def forwarded(api: KubernetesApi, namespace: str, selector: str, port: int) -> Iterator[str]:
    """Yield an address (host:port) of this computer that leads to a port of a Ready pod."""
    with forwarded_to(api, namespace, ready_pods(api, namespace, selector)[0], port) as address:
        yield address


@contextlib.contextmanager
def forwarded_to(api: KubernetesApi, namespace: str, pod: str, port: int) -> Iterator[str]:
    """Yield an address (host:port) of this computer that leads to a port of this pod."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    listener = socket.create_server(("127.0.0.1", 0))
    # Every connection of the client is one of its own to the pod.
    threading.Thread(target=_serve, args=(listener, api, path, port), daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # A thread waits in accept(), which close() alone would not end.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class PodApi(JsonApi):
    """A client of a program in the cluster. A class for one program says which pods have it, and its port."""

    selector: ClassVar[str]
    port: ClassVar[int]

    def __init__(self, address: str) -> None:
        """Remember where it listens, as host:port."""
        super().__init__(f"http://{address}", {})

    @classmethod
    @contextlib.contextmanager
    def opened(cls, api: KubernetesApi, namespace: str) -> Iterator[Self]:
        """Yield the program of a cluster, through the cluster's API; ApiError says that it does not run."""
        with forwarded(api, namespace, cls.selector, cls.port) as address:
            yield cls(address)


def _serve(listener: socket.socket, api: KubernetesApi, path: str, port: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # closed: the block has ended
        threading.Thread(target=_carry, args=(client, api, path, port), daemon=True).start()


def _carry(client: socket.socket, api: KubernetesApi, path: str, port: int) -> None:
    """Carry bytes both ways until one side ends. A client whose connection fails sees it closed.

    One thread does both, because OpenSSL allows no read and write of a connection at the same time
    (openssl-threads(7): objects are not to be shared between threads).
    """
    with client:
        with (
            contextlib.suppress(ApiError, *failures()),
            contextlib.closing(connect(api, f"{path}?ports={port}")) as channel,
        ):
            _relay(client, channel)
        with contextlib.suppress(OSError):
            _let_read(client)


def _relay(client: socket.socket, channel: Any) -> None:
    announced: set[int] = set()
    sources = [client, channel.sock]
    while True:
        waiting = _pending(channel)
        readable = select.select(sources, [], [], 0 if waiting else None)[0]
        # First all that comes: a pod may answer and end while the client still sends.
        if waiting or channel.sock in readable:
            message = channel.recv()
            if not message:
                return  # the websocket is closed, as when the pod is deleted
            number, content = message[0], message[1:]
            if number not in announced:
                announced.add(number)  # the port, which is known
            elif number == DATA:
                client.sendall(content)
            elif content:
                return  # the pod does not listen, or has ended
        else:
            chunk = client.recv(CHUNK)
            if not chunk:
                return
            try:
                channel.send_binary(bytes([DATA]) + chunk)
            except failures():
                sources.remove(client)  # the pod takes no more, and may have said why


def _let_read(client: socket.socket) -> None:
    """Let the client read the answer. To close with something of it unread would reset the connection."""
    client.shutdown(socket.SHUT_WR)
    end = time.monotonic() + LINGER_SECONDS
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        if not client.recv(CHUNK):
            return


def _pending(channel: Any) -> bool:
    """Tell whether bytes have been decrypted that select() does not see any more."""
    return isinstance(channel.sock, ssl.SSLSocket) and channel.sock.pending() > 0


def connect(api: KubernetesApi, path: str) -> Any:
    """Return an open websocket to a path of the API, with the credentials of the kubeconfig."""
    import websocket

    url = f"{api.url.replace('http', 'ws', 1)}{path}"
    proxy = urlsplit(api.proxy)
    options: dict[str, Any] = (
        {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port or 80, "proxy_type": "http"}
        if api.proxy
        # Without it, the variables of the environment would count.
        else {"http_no_proxy": ["*"]}
    )
    tls = {"context": api.tls, **({"server_hostname": api.tls_name} if api.tls_name else {})}
    headers = [f"{name}: {value}" for name, value in api.login.items()]
    try:
        channel = websocket.create_connection(
            url,
            timeout=30,
            header=headers,
            subprotocols=["v4.channel.k8s.io"],
            sslopt=tls,
            suppress_origin=True,
            **options,
        )
    except failures() as error:
        raise ApiError(f"GET {path}: {error}") from error
    channel.settimeout(None)  # the store may take its time
    return channel


def failures() -> tuple[type[Exception], ...]:
    """Return what is raised where a connection cannot be made, or ends."""
    from websocket import WebSocketException

    return (OSError, WebSocketException)
