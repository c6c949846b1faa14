"""Which cluster and user a kubeconfig's context leads to."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi, read_context

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
            CONFIG.replace("server:", "proxy-url: x, server:"),
            "its cluster has proxy-url, which is not known here: write an address",
        ),
        (
            CONFIG.replace("server:", "tls-server-name: x, server:"),
            "its cluster has tls-server-name, which is not known here: write",
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
        ("{client-certificate: gone}", "a certificate or key cannot be read: 'client-key'"),
    ],
)
def test_a_login_that_cannot_be_read_is_named(kubeconfig: Path, user: str, says: str) -> None:
    kubeconfig.write_text(CONFIG.replace("{token: t}", user))
    with pytest.raises(ApiError) as error:
        KubernetesApi(str(kubeconfig), "two")
    assert f"The kubeconfig file {kubeconfig}, context 'two': " in str(error.value)
    assert says in str(error.value)
