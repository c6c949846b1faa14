"""When all replicas serve what they should, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from library.model import model_replicas as module
from tests.support.cluster_api import kubeconfig
from tests.support.modules import run_module
from tests.support.servers import Silent, running


@pytest.mark.parametrize(
    ("replicas", "version", "says"),
    [
        ({"a": "2", "b": "2"}, "", ""),
        ({"a": "2", "b": "2"}, "2", ""),
        ({"a": "2", "b": "1"}, "2", "version 2 is not served by b (1)"),
        ({"a": "2", "b": "1"}, "", "different versions are served: a (2), b (1)"),
        ({"a": "2", "b": "none"}, "2", "1 of 2 replicas are ready"),
        ({"a": "2"}, "2", "1 of 2 replicas are ready"),
        # One more than wanted is there while pods are replaced.
        ({"a": "2", "b": "2", "c": "none"}, "2", "2 of 2 replicas are ready"),
        ({}, "", "0 of 2 replicas are ready"),
    ],
)
def test_what_is_missing(replicas: Mapping[str, str], version: str, says: str) -> None:
    assert module.missing(replicas, 2, version) == says


class Cluster(Silent):
    """Has a Deployment of two, and three pods, one of which ends. It is a model server as well."""

    version = "3"
    versions: Sequence[str] = ("3",)
    problem: Mapping[str, str] = {}

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/deployments/reco"):
            selector = {"matchLabels": {"app": "reco"}}
            self.reply(
                200, {"kind": "Deployment", "metadata": {}, "spec": {"replicas": 2, "selector": selector}}
            )
        elif path.endswith("/pods"):
            status = {"conditions": [{"type": "Ready", "status": "True"}]}
            pods = [{"metadata": {"name": name}, "status": status} for name in ("a", "b", "c")]
            pods[2]["metadata"]["deletionTimestamp"] = "now"  # type: ignore[index]
            self.reply(200, {"items": pods})
        elif path == "/recommend":
            self.reply(
                200 if self.path.endswith("?user=nobody") else 400,
                {"error": "ask for a user"},
            )
        elif path == "/v2/models/reco/ready":
            self.reply(200, {"ready": True, "version": self.version, **self.problem})
        elif path == "/v2/models/reco":
            self.reply(200, {"versions": self.versions})
        else:
            self.reply(404, {"message": "not found"})


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Cluster)) as address:

        @contextmanager
        def forwarded_to(api: Any, namespace: str, pod: str, port: int) -> Iterator[str]:
            yield address

        monkeypatch.setattr(module, "forwarded_to", forwarded_to)
        path = kubeconfig(tmp_path, f"http://{address}", token="t")
        yield {"kubeconfig": str(path), "context": "test", "namespace": "model", "model": "reco"}


def test_every_replica_is_asked(params: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    done = run_module("model_replicas", {**params, "version": "3"}, capsys)
    assert (done["version"], done["replicas"]) == ("3", {"a": "3", "b": "3"})


def test_every_replica_is_put_a_question(params: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_module("model_replicas", {**params, "question": "/recommend?user=nobody"}, capsys)[
        "failed"
    ]
    said = run_module("model_replicas", {**params, "question": "/recommend"}, capsys)["msg"]
    assert said.startswith("a does not answer /recommend: ")
    assert "400" in said


def test_another_version_is_told(params: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    said = run_module("model_replicas", {**params, "version": "4", "timeout": 0}, capsys)["msg"]
    assert "version 4 is not served by a (3), b (3)" in said


def test_a_candidate_has_to_be_loaded_beside_the_champion(
    params: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**params, "version": "3", "timeout": 0}
    monkeypatch.setattr(Cluster, "versions", ["3", "4"])
    done = run_module("model_replicas", {**asked, "candidate": "4"}, capsys)
    assert (done["version"], done["replicas"]["a"]) == ("3", "3, candidate 4")
    said = run_module("model_replicas", {**asked, "candidate": "none"}, capsys)["msg"]
    assert "version 3, candidate none is not served by a (3, candidate 4)" in said
    monkeypatch.setattr(Cluster, "versions", ["3"])
    assert run_module("model_replicas", {**asked, "candidate": "none"}, capsys)["version"] == "3"
    monkeypatch.setattr(Cluster, "problem", {"problem": "it is damaged"})
    said = run_module("model_replicas", {**asked, "candidate": "4"}, capsys)["msg"]
    assert "candidate 4 is not served by a (3, candidate none: it is damaged)" in said
    # Whom nobody asks for a candidate, a problem of one does not matter.
    assert run_module("model_replicas", asked, capsys)["version"] == "3"


def test_a_deployment_that_is_not_there_is_told(
    params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "404" in run_module("model_replicas", {**params, "model": "other"}, capsys)["msg"]
