"""Which cluster and user a kubeconfig's context leads to."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.metalworks.kubernetes_api import ApiError, read_context

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
