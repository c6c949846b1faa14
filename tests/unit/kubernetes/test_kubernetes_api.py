"""Which cluster and user a kubeconfig's context leads to."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi, read_context
from ansible.module_utils.metalworks.kubernetes.cluster import cause
from cryptography import x509
from tests.support.certificates import self_signed, signed_by
from tests.support.servers import Silent, running

CONFIG = """\
current-context: one
contexts:
  - {name: one, context: {cluster: a, user: admin}}
  - {name: two, context: {cluster: b, user: admin}}
clusters:
  - {name: a, cluster: {server: "https://192.0.2.1:6443"}}
  - {name: b, cluster: {server: "https://192.0.2.2:6443"}}
users:
  - {name: admin, user: {token: t}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize(
    ("context", "server"), [(None, "https://192.0.2.1:6443"), ("two", "https://192.0.2.2:6443")]
)
def test_context_is_found(kubeconfig: Path, context: str | None, server: str) -> None:
    assert read_context(kubeconfig, context)[0]["server"] == server


def test_unknown_context_is_named_beside_the_known(kubeconfig: Path) -> None:
    with pytest.raises(ApiError, match=r"no context 'three'\. It has: one, two"):
        read_context(kubeconfig, "three")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="absent cannot be read"):
        read_context(tmp_path / "absent", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clusters: [", "config, line 1 is not YAML"),
        ("- one", "config is not a kubeconfig"),
        ("contexts: [{context: {}}]", "config: contexts is not a list of named entries"),
        (
            CONFIG.replace("name: a,", "name: z,"),
            "context 'one': it names the cluster 'a', which is not there",
        ),
        (
            CONFIG.replace("name: admin, user", "name: z, user"),
            "it names the user 'admin', which is not there",
        ),
        (CONFIG.replace("server", "serber"), "context 'one': its cluster has no server"),
        (
            CONFIG.replace("server:", "proxy-url: 'socks5://localhost:1080', server:"),
            "its cluster has the proxy-url socks5://localhost:1080, and only http:// is known here: write",
        ),
        (
            CONFIG.replace("https://192", "192"),
            "has the server 192.0.2.1:6443: write https:// before the address",
        ),
        (CONFIG.replace('"https://192.0.2.1:6443"', "[a]"), "has the server ['a']: write https://"),
        (
            CONFIG.replace('{server: "https://192.0.2.1:6443"}', "text"),
            "clusters is not a list of named entries",
        ),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_named(kubeconfig: Path, text: str, says: str) -> None:
    kubeconfig.write_text(text)
    with pytest.raises(ApiError) as error:
        read_context(kubeconfig, None)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_kubeconfig_that_is_no_text_is_named(kubeconfig: Path) -> None:
    kubeconfig.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ApiError, match="config cannot be read: it is no text"):
        read_context(kubeconfig, None)


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("{tokenFile: gone}", "gone cannot be read: No such file or directory"),
        ("{client-certificate: gone, client-key: gone}", "a certificate or key cannot be read"),
        ("{client-certificate: gone}", "client-certificate and client-key belong together"),
        ("{client-key-data: QQ==}", "client-certificate and client-key belong together"),
        ("{tokenFile: binary}", "binary cannot be read: it is no text"),
        ('{token: "a\\nb"}', "its token has a line break"),
        ("{as: Zoë, token: t}", "its as has a line break or another character"),
        (
            "{auth-provider: {name: oidc}}",
            "its user has auth-provider, which is not known here; kubectl has none",
        ),
        ("{token: t, as: ada, as-groups: [ops]}", "its user has as-groups, which is not known here"),
        ("{exec: login}", "its exec needs a command and an apiVersion"),
        ("{exec: {command: login}}", "its exec needs a command and an apiVersion"),
        (
            "{exec: {apiVersion: v1, command: echo, env: [{name: A}]}}",
            "a list of entries with name and value",
        ),
        ("{exec: {apiVersion: v1, command: echo, env: {A: b}}}", "a list of entries with name and value"),
        ("{exec: {apiVersion: v1, command: ./gone}}", "/gone, which it asks for a login, gives none"),
        (
            "{exec: {apiVersion: v1, command: echo, args: [1]}}",
            "echo, which it asks for a login, prints no Exec",
        ),
        ("{exec: {apiVersion: v1, command: echo, args: ['[1]']}}", "prints no ExecCredential with a status"),
        ("{exec: {apiVersion: v1, command: echo, args: ['{\"status\": null}']}}", "prints no ExecCredential"),
        (
            "{exec: {apiVersion: v1, command: echo, args: ['{\"status\": {}}']}}",
            "neither token nor certificate",
        ),
    ],
)
def test_a_login_that_cannot_be_read_is_named(kubeconfig: Path, user: str, says: str) -> None:
    kubeconfig.write_text(CONFIG.replace("{token: t}", user))
    kubeconfig.with_name("binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ApiError) as error:
        KubernetesApi(str(kubeconfig), "two")
    assert f"The kubeconfig file {kubeconfig}, context 'two': " in str(error.value)
    assert says in str(error.value)


# TLS: what kubectl accepts is accepted.


class Api(Silent):
    """Answers each request with its path."""

    def do_GET(self) -> None:
        self.reply(200, {"path": self.path})


class Proxy(Silent):
    """Takes each CONNECT to the one address that it knows."""

    target = ("127.0.0.1", 0)
    asked: ClassVar[list[str]] = []

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        with socket.create_connection(self.target) as there:
            self.send_response(200)
            self.end_headers()
            pumps = [
                threading.Thread(target=pump, args=ends)
                for ends in ((self.connection, there), (there, self.connection))
            ]
            for thread in pumps:
                thread.start()
            for thread in pumps:
                thread.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def serving_tls(folder: Path, name: str) -> Iterator[tuple[int, str]]:
    """An API whose certificate is made for this name, and its CA, which has no key identifiers."""
    authority = self_signed(folder / "ca.pem", x509.DNSName("ca"))
    names = (x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1")))
    pem = signed_by(authority, folder / "server.pem", *names)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield server.server_address[1], base64.b64encode(authority.read_bytes()).decode()


def config(server: str, ca: str, **more: str) -> str:
    cluster = {"server": server, "certificate-authority-data": ca, **more}
    return CONFIG.replace('{server: "https://192.0.2.1:6443"}', json.dumps(cluster))


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13's default of ssl.create_default_context, whatever Python runs this test."""
    original = ssl.create_default_context

    def as_in_3_13(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        context = original(*args, **kwargs)
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_in_3_13)


@pytest.mark.usefixtures("strict")
def test_a_ca_without_key_identifiers_is_trusted_as_kubectl_does(kubeconfig: Path, tmp_path: Path) -> None:
    with serving_tls(tmp_path, "localhost") as (port, ca):
        kubeconfig.write_text(config(f"https://127.0.0.1:{port}", ca))
        assert KubernetesApi(str(kubeconfig)).get("/version") == {"path": "/version"}


@pytest.mark.usefixtures("strict")
def test_another_ca_is_not_trusted(kubeconfig: Path, tmp_path: Path) -> None:
    other = self_signed(tmp_path / "other.pem", x509.DNSName("localhost")).read_bytes()
    with serving_tls(tmp_path, "localhost") as (port, _):
        kubeconfig.write_text(config(f"https://127.0.0.1:{port}", base64.b64encode(other).decode()))
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
            KubernetesApi(str(kubeconfig)).get("/version")


def test_the_name_in_the_certificate_may_be_another_one(kubeconfig: Path, tmp_path: Path) -> None:
    with serving_tls(tmp_path, "api.example") as (port, ca):
        address = f"https://localhost:{port}"
        kubeconfig.write_text(config(address, ca))
        with pytest.raises(ApiError, match="mismatch, certificate is not valid for 'localhost'"):
            KubernetesApi(str(kubeconfig)).get("/version")
        kubeconfig.write_text(config(address, ca, **{"tls-server-name": "api.example"}))
        assert KubernetesApi(str(kubeconfig)).get("/version") == {"path": "/version"}


@pytest.mark.parametrize("name", [{}, {"tls-server-name": "api.example"}], ids=["address", "name"])
def test_a_proxy_is_gone_through(
    name: dict[str, str], kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    with serving_tls(tmp_path, "api.example") as (port, ca), running(proxy):
        monkeypatch.setattr(Proxy, "target", ("127.0.0.1", port))
        monkeypatch.setattr(Proxy, "asked", [])
        way = {"proxy-url": f"http://127.0.0.1:{proxy.server_address[1]}", **name}
        kubeconfig.write_text(config("https://api.example:6443", ca, **way))
        assert KubernetesApi(str(kubeconfig)).get("/version") == {"path": "/version"}
        assert Proxy.asked == ["api.example:6443"]


@pytest.mark.parametrize("data", ["%%%", "-----BEGIN CERTIFICATE-----", "anVuaw=="])
def test_a_ca_that_is_none_is_not_taken_for_no_ca(data: str, kubeconfig: Path) -> None:
    """Without a CA, Python trusts those of the computer."""
    kubeconfig.write_text(config("https://192.0.2.1:6443", data))
    with pytest.raises(ApiError, match="a certificate or key cannot be read"):
        KubernetesApi(str(kubeconfig))


def test_a_ca_may_be_in_several_lines(kubeconfig: Path, tmp_path: Path) -> None:
    with serving_tls(tmp_path, "localhost") as (port, ca):
        kubeconfig.write_text(config(f"https://127.0.0.1:{port}", f"{ca[:64]}\n{ca[64:]}\n"))
        assert KubernetesApi(str(kubeconfig)).get("/version") == {"path": "/version"}


def test_a_certificate_may_be_data_and_its_key_a_file(kubeconfig: Path, tmp_path: Path) -> None:
    both = self_signed(tmp_path / "me.pem", x509.DNSName("me"))
    self_signed(tmp_path / "other.pem", x509.DNSName("other"))
    data = base64.b64encode(both.read_bytes()).decode()
    user = f"{{client-certificate-data: {data}, client-key: me.pem}}"
    kubeconfig.write_text(CONFIG.replace("{token: t}", user))
    assert KubernetesApi(str(kubeconfig)).url == "https://192.0.2.1:6443"
    kubeconfig.write_text(CONFIG.replace("{token: t}", user.replace("me.pem", "other.pem")))
    with pytest.raises(ApiError, match=r"a certificate or key cannot be read: .*MISMATCH"):
        KubernetesApi(str(kubeconfig))


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ("{token: 0123}", {"Authorization": "Bearer 0123"}),
        ("{username: ada, password: p}", {"Authorization": "Basic YWRhOnA="}),
        ("{token: t, as: ada, as-uid: 7}", {"Impersonate-User": "ada", "Impersonate-Uid": "7"}),
        (
            "{exec: {apiVersion: v1, command: ./login, env: [{name: A, value: yes}, {name: B, value: 0x7}]}}",
            {"Authorization": "Bearer true-0x7"},
        ),
    ],
)
def test_a_user_logs_in_as_with_kubectl(user: str, headers: dict[str, str], kubeconfig: Path) -> None:
    program = kubeconfig.with_name("login")  # beside the kubeconfig, as its name has a slash
    program.write_text('#!/bin/sh\necho \'{"status": {"token": "\'$A-$B\'"}}\'\n')
    program.chmod(0o755)
    kubeconfig.write_text(CONFIG.replace("{token: t}", user))
    assert headers.items() <= KubernetesApi(str(kubeconfig)).login.items()


def test_a_program_is_told_of_the_cluster_if_it_asks(kubeconfig: Path) -> None:
    program = kubeconfig.with_name("login")
    program.write_text(
        "#!/usr/bin/env python3\nimport json, os\n"
        "told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['cluster']['server']\n"
        "print(json.dumps({'status': {'token': told}}))\n"
    )
    program.chmod(0o755)
    user = "{exec: {apiVersion: v1, command: ./login, provideClusterInfo: true}}"
    kubeconfig.write_text(CONFIG.replace("{token: t}", user))
    assert KubernetesApi(str(kubeconfig)).login == {"Authorization": "Bearer https://192.0.2.1:6443"}


def test_a_sentence_with_its_remedy_gets_no_second_one(kubeconfig: Path) -> None:
    said = cause(
        ApiError("GET https://a/version: the answer is not the API's; is the address right?"), "test"
    )
    assert said.count("?") == 1


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("certificate verify failed: certificate has expired (_ssl.c:1000)", "that has expired"),
        ("certificate verify failed: certificate is not yet valid", "that is not valid yet"),
        (
            "certificate verify failed: Hostname mismatch, certificate is not valid for 'a'.",
            "that is made for other names",
        ),
        (
            "certificate verify failed: IP address mismatch, certificate is not valid for '192.0.2.1'.",
            "that is made for other names",
        ),
        ("certificate verify failed: unable to get local issuer certificate", "did not sign"),
        ("certificate verify failed: self-signed certificate in certificate chain", "did not sign"),
        ("certificate verify failed: self signed certificate", "did not sign"),
        ("certificate verify failed: CA cert does not include key usage extension", "that is not accepted"),
        ("certificate verify failed: Missing Authority Key Identifier", "that is not accepted"),
    ],
)
def test_a_certificates_reason_is_told_and_not_its_class(said: str, means: str) -> None:
    sentence = cause(ApiError(f"GET https://a/version: [SSL: CERTIFICATE_VERIFY_FAILED] {said}"), "test")
    assert f"shows a certificate {means}" in sentence or f"{means}," in sentence
    assert said in sentence
