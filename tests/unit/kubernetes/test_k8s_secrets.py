"""Which Secrets of a set are written and removed, and that no value is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from library.kubernetes.k8s_secrets import ANNOTATION, LABEL, plan
from tests.support.cluster_api import kubeconfig
from tests.support.modules import cases, run_module
from tests.support.servers import Silent, running

VALUE = "open-sesame-2026"


def by_place(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    return {(place.split("/")[0], place.split("/")[1]): data for place, data in described.items()}


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    todo = plan(by_place(case["wanted"]), by_place(case.get("found", {})))
    for what in ("made", "changed", "removed"):
        assert ["/".join(place) for place in getattr(todo, what)] == case.get(what, [])


class Cluster(Silent):
    """A cluster that keeps objects by their paths, and what it was asked to do."""

    objects: dict[str, Any]
    done: list[tuple[str, str, Any]]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if query:
            kind = path.rpartition("/")[2]
            found = [each for each in self.objects.values() if each.get("kind") == kind]
            return self.reply(200, {"items": found})
        return self.reply(200, self.objects[path]) if path in self.objects else self.reply(404, {})

    def change(self) -> None:
        self.done.append((self.command, self.path, self.sent()))
        self.reply(200, {})

    do_POST = do_PUT = do_DELETE = do_PATCH = change


def secret(namespace: str, name: str, **data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "secrets", "metadata": {"namespace": namespace, "name": name}, "data": encoded}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A cluster with the Secrets a/one and a/gone of the set, and a pod; the parameters that lead there."""
    objects = {
        "/api/v1/namespaces/a": {"metadata": {"name": "a"}},
        "/api/v1/namespaces/a/secrets/one": secret("a", "one", password="before"),
        "/api/v1/namespaces/a/secrets/gone": secret("a", "gone", password="x"),
        "/api/v1/namespaces/a/pods/web": {"kind": "pods", "metadata": {"name": "web"}},
    }
    handler = type("Bound", (Cluster,), {"objects": objects, "done": []})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield handler, {"kubeconfig": str(kubeconfig(tmp_path, f"http://{address}")), "set_name": "shop"}


WANTED = [
    {"namespace": "a", "name": "one", "data": {"password": VALUE}},
    {"namespace": "new", "name": "two", "data": {"password": VALUE}},
]


def test_what_differs_is_written_and_no_value_is_shown(
    cluster: tuple[Any, dict[str, Any]], capsys: Any
) -> None:
    handler, params = cluster
    pods = {"namespace": "a", "selector": "app=web"}
    result = run_module("k8s_secrets", {**params, "secrets": WANTED, "refresh": pods}, capsys)
    assert (result["written"], result["removed"]) == (["a/one", "new/two"], ["a/gone"])
    assert VALUE not in json.dumps(result)
    assert [(method, path) for method, path, _ in handler.done] == [
        ("PUT", "/api/v1/namespaces/a/secrets/one"),
        ("POST", "/api/v1/namespaces"),
        ("POST", "/api/v1/namespaces/new/secrets"),
        ("DELETE", "/api/v1/namespaces/a/secrets/gone"),
        ("PATCH", "/api/v1/namespaces/a/pods/web"),
    ]
    written = handler.done[0][2]
    assert written["metadata"]["labels"][LABEL] == "shop"
    assert base64.b64decode(written["data"]["password"]).decode() == VALUE
    assert handler.done[-1][2]["metadata"]["annotations"][ANNOTATION]


def test_check_mode_says_it_and_does_nothing(cluster: tuple[Any, dict[str, Any]], capsys: Any) -> None:
    handler, params = cluster
    result = run_module("k8s_secrets", {**params, "secrets": WANTED}, capsys, check=True)
    assert (result["changed"], result["written"], handler.done) == (True, ["a/one", "new/two"], [])


def test_a_second_run_changes_nothing(cluster: tuple[Any, dict[str, Any]], capsys: Any) -> None:
    handler, params = cluster
    same = [
        {"namespace": "a", "name": "one", "data": {"password": "before"}},
        {"namespace": "a", "name": "gone", "data": {"password": "x"}},
    ]
    result = run_module("k8s_secrets", {**params, "secrets": same}, capsys)
    assert (result["changed"], handler.done) == (False, [])
