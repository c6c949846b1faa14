"""The operator's kubectl reaches the cluster from outside, and what was in the file is still there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubernetes import client, config

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
KUBECONFIG = EPHEMERAL / "kubeconfig"


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    return yaml.safe_load(KUBECONFIG.read_text())


def test_the_context_reaches_the_api_and_is_trusted() -> None:
    with config.new_client_from_config(str(KUBECONFIG), context="metalworks-test") as api:
        nodes = client.CoreV1Api(api).list_node().items
    assert sorted(node.metadata.name for node in nodes) == ["agent-1", "server-1"]


def test_the_other_context_is_untouched_and_still_selected(written: dict[str, Any]) -> None:
    assert written["current-context"] == "work"
    assert {"name": "work", "context": {"cluster": "work", "user": "me", "namespace": "team"}} in written[
        "contexts"
    ]
    assert {"name": "me", "user": {"token": "of-another-cluster"}} in written["users"]


def test_the_file_is_the_operators_only() -> None:
    assert KUBECONFIG.stat().st_mode & 0o777 == 0o600


def test_the_file_as_it_was_stands_beside_it() -> None:
    before = yaml.safe_load(Path(f"{KUBECONFIG}.metalworks-backup").read_text())
    assert [each["name"] for each in before["contexts"]] == ["work"]


def test_a_context_that_was_taken_out_leaves_nothing() -> None:
    assert list((EPHEMERAL / "fresh").iterdir()) == []
