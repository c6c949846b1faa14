"""A port of a pod on this computer. The cluster is a server in this process."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes import forward
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from tests.support.cluster_api import kubeconfig
from tests.support.servers import Silent, running

PORT = 7071
MARK = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Cluster(Silent):
    """Has one pod, which sends back what it gets, in capitals."""

    protocol_version = "HTTP/1.1"
    ready = "True"
    listens = True
    ends = False
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Sec-WebSocket-Protocol")))
        if "portforward" in self.path:
            self.forward()
            return
        condition = {"type": "Ready", "status": self.ready}
        pod = {"metadata": {"name": "store-1"}, "status": {"conditions": [condition]}}
        self.reply(200, {"items": [pod]})

    def forward(self) -> None:
        """Speak the protocol: the port on both channels, then data on channel 0, or an error on channel 1."""
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + MARK).encode()).digest()
        self.send_response(101)
        for name, value in {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(accept).decode(),
            "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        for channel in (0, 1):
            self.send(bytes([channel]) + struct.pack("<H", PORT))
        if not self.listens:
            self.send(b"\x01connection refused")
        if self.ends:
            self.send(b"\x00no room")
            self.wfile.write(b"\x88\x00")  # the websocket is closed
            self.close_connection = True
            return
        while message := self.receive():
            self.send(b"\x00" + message[1:].upper())
        self.close_connection = True

    def send(self, content: bytes) -> None:
        length = bytes([len(content)]) if len(content) < 126 else b"\x7e" + struct.pack(">H", len(content))
        self.wfile.write(b"\x82" + length + content)
        self.wfile.flush()

    def receive(self) -> bytes:
        """The content of the next binary message; nothing at the end."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0x0F != 2:
            return b""
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.rfile.read(2))
        mask, content = self.rfile.read(4), self.rfile.read(length)
        return bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Any, KubernetesApi]]:
    handler = type("Bound", (Cluster,), {"asked": []})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield handler, KubernetesApi(str(kubeconfig(tmp_path, f"http://{address}", token="t")), "test")


def talk(address: str, text: bytes) -> bytes:
    """What a connection answers to a text before it ends, or as much as was sent."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(text)
        found = b""
        while len(found) < len(text) and (more := connection.recv(65536)):
            found += more
        return found


def test_bytes_go_both_ways_on_several_connections(cluster: tuple[Any, KubernetesApi]) -> None:
    handler, api = cluster
    with forwarded(api, "store", "app=store", PORT) as address:
        assert talk(address, b"ada") == b"ADA"
        assert talk(address, b"x" * 40000) == b"X" * 40000
    paths = [path for path, _ in handler.asked]
    assert paths[1:] == [f"/api/v1/namespaces/store/pods/store-1/portforward?ports={PORT}"] * 2
    assert {protocol for _, protocol in handler.asked[1:]} == {"v4.channel.k8s.io"}


def test_a_pod_that_does_not_listen_ends_the_connection(cluster: tuple[Any, KubernetesApi]) -> None:
    handler, api = cluster
    handler.listens = False
    with forwarded(api, "store", "app=store", PORT) as address:
        assert talk(address, b"ada") == b""


def test_an_answer_arrives_though_the_pod_ends_before_it_has_read_all(
    cluster: tuple[Any, KubernetesApi],
) -> None:
    handler, api = cluster
    handler.ends = True
    with forwarded(api, "store", "app=store", PORT) as address:
        assert talk(address, b"x" * (20 << 20)) == b"no room"


def test_who_sends_on_and_on_is_cut_off(
    cluster: tuple[Any, KubernetesApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "LINGER_SECONDS", 0.2)
    handler, api = cluster
    handler.ends = True
    with forwarded(api, "store", "app=store", PORT) as address:
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection, pytest.raises(OSError):
            while True:
                connection.sendall(b"x" * 4096)


def test_without_a_pod_that_is_ready_there_is_no_port(cluster: tuple[Any, KubernetesApi]) -> None:
    handler, api = cluster
    handler.ready = "False"
    with (
        pytest.raises(ApiError, match="no pod with app=store in the namespace store is Ready"),
        forwarded(api, "store", "app=store", PORT),
    ):
        pytest.fail("there is no such pod")


def test_nothing_listens_when_the_block_has_ended(cluster: tuple[Any, KubernetesApi]) -> None:
    with forwarded(cluster[1], "store", "app=store", PORT) as address:
        host, _, port = address.partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
