"""What is done for a wanted alias, and what a task may not ask; then the whole module against a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils.metalworks.mlflow import api
from library.mlflow import mlflow_model_version as module
from tests.support.cluster_api import kubeconfig
from tests.support.modules import cases, run_module
from tests.support.servers import Silent, running


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    wanted = module.Wanted("reco", **case["wanted"])
    found = case.get("found")
    there = module.Found(tuple(found["versions"]), found["aliases"]) if found else None
    assert module.problems(wanted) == []
    for kind, error in (("not_yet", module.NotYet), ("refused", ValueError)):
        if kind in case:
            with pytest.raises(error, match=case[kind]):
                module.plan(wanted, there)
            return
    planned = module.plan(wanted, there)
    assert (planned.version, planned.step) == (case["version"], case.get("step", ""))
    assert bool(planned.sentence) == bool(planned.step)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({}, "give a version"),
        ({"version": "newest"}, "version is 'newest': write a number, or latest"),
        ({"version": "1", "alias": "v", "absent": True}, "give alias, and no version"),
        ({"version": "1", "absent": True}, "give alias, and no version"),
        ({"version": "1", "alias": "latest"}, "alias is 'latest'"),
        ({"version": "1", "alias": "7"}, "alias is '7'"),
        ({"version": "1", "only_from": "1"}, "give alias"),
        ({"version": "1", "alias": "a", "only_from": "x"}, "only_from is 'x'"),
    ],
)
def test_a_wrong_task_is_refused(wanted: dict[str, Any], says: str) -> None:
    assert any(says in sentence for sentence in module.problems(module.Wanted("reco", **wanted)))


class Server(Silent):
    """A registry with one model of two versions. The second becomes ready at the second look."""

    aliases: dict[str, str] = {}
    tags: dict[str, str] = {}
    looks = 0

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(place.query).items()}
        if self.headers["Authorization"] != "Bearer right":
            self.reply(401, {"error_code": "UNAUTHENTICATED", "message": "who are you?"})
        elif query["name"] != "reco" or query.get("version", "1") not in ("1", "2"):
            self.reply(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "nothing there"})
        elif place.path.endswith("registered-models/get"):
            aliases = [{"alias": name, "version": number} for name, number in self.aliases.items()]
            latest = [{"version": "2"}]
            self.reply(200, {"registered_model": {"latest_versions": latest, "aliases": aliases}})
        else:
            type(self).looks += 1
            ready = query["version"] == "1" or self.looks > 2
            status = "READY" if ready else "PENDING_REGISTRATION"
            self.reply(200, {"model_version": {"status": status, "source": "models:/m-1"}})

    def change(self) -> None:
        body = self.sent()
        if self.path.endswith("set-tag"):
            self.tags[body["key"]] = body["value"]
        elif self.command == "DELETE":
            del self.aliases[body["alias"]]
        else:
            self.aliases[body["alias"]] = body["version"]
        self.reply(200, {})

    do_POST = do_DELETE = change


@pytest.fixture
def url() -> Iterator[str]:
    Server.aliases, Server.tags, Server.looks = {}, {}, 0
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Server)) as place:
        yield f"http://{place}"


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the module with these parameters, and return its answer."""

    def answer(check: bool = False, **given: Any) -> Any:
        params = {"url": url, "token": "right", "model": "reco", **given}
        params = {name: value for name, value in params.items() if value is not None}
        return run_module("mlflow_model_version", params, capsys, check=check)

    return answer


def test_an_alias_is_moved_once_and_taken_away(run: Callable[..., Any]) -> None:
    task = {"version": "latest", "alias": "champion", "wait_seconds": 10}
    foreseen = run(check=True, **task)
    assert foreseen["changed"]
    assert Server.aliases == {}
    done = run(**task)
    assert (done["changed"], done["version"], done["details"]["status"]) == (True, "2", "READY")
    assert done["diff"] == {"before": "", "after": "2\n"}
    assert Server.aliases == {"champion": "2"}
    assert not run(**task)["changed"]
    assert run(alias="champion")["version"] == "2"
    read = run(version="1")
    assert (read["version"], read["aliases"]) == ("1", {"champion": "2"})
    gone = run(alias="champion", state="absent", tags={"why": "{before} was bad"})
    assert (gone["changed"], gone["aliases"], Server.tags["why"]) == (True, {}, "2 was bad")
    assert Server.aliases == {}


def test_a_move_is_recorded_at_the_version(run: Callable[..., Any]) -> None:
    tags = {"champion_before": "{before}", "champion_why": "because"}
    run(version="1", alias="champion", tags=tags)
    assert Server.tags == {"champion_before": "", "champion_why": "because"}
    run(version="2", alias="champion", tags=tags, wait_seconds=10)
    assert Server.tags["champion_before"] == "1"
    run(version="2", alias="champion", tags={"champion_before": "nothing was moved"})
    assert Server.tags["champion_before"] == "1"


def test_the_server_is_reached_through_a_cluster(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Callable[..., Any]
) -> None:
    @contextmanager
    def forwarded(api: Any, namespace: str, selector: str, port: int) -> Iterator[str]:
        assert (namespace, port) == ("mlflow", 5000)
        yield url.removeprefix("http://")

    monkeypatch.setattr(api, "forwarded", forwarded)
    path = str(kubeconfig(tmp_path, "http://127.0.0.1:9", token="t"))
    assert run(url=None, namespace="mlflow", kubeconfig=path, context="test", version="1")["version"] == "1"
    assert "mutually exclusive" in run(namespace="mlflow", version="1")["msg"]
    assert "one of the following is required: url, namespace" in run(url=None, version="1")["msg"]


def test_a_version_that_is_not_ready_is_told(run: Callable[..., Any]) -> None:
    assert "is being registered" in run(version="2")["msg"]


def test_a_refusal_ends_the_wait_at_once(run: Callable[..., Any]) -> None:
    said = run(token="wrong", version="2", wait_seconds=600)["msg"]
    assert "401 who are you?" in said
    assert "wrong" not in said


def test_no_server_is_told(run: Callable[..., Any]) -> None:
    assert "no answer" in run(url="http://127.0.0.1:9", version="2")["msg"]
