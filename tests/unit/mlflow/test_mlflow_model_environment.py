"""What an image needs for a model of somebody else, and what is refused; then the module and a server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from library.mlflow import mlflow_model_environment as module
from tests.support.modules import cases, run_module
from tests.support.servers import Silent, free_port, running

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "requirements": "mlflow==3.17.2\npandas==2.3.3\n",
    "python": "python: 3.11.2\n",
    "model": 'signature: {inputs: \'[{"type": "double"}]\'}',
}


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    its = {
        **GOOD,
        **{name: case[name] for name in ("requirements", "python", "model", "own") if name in case},
    }
    if "says" in case:
        with pytest.raises(ValueError) as said:
            module.plan(module.Recorded(**its), "3.11")
        assert [part for part in case["says"] if part not in str(said.value)] == []
        return
    found = module.plan(module.Recorded(**its), "3.11")
    assert list(found.requirements) == case["installs"]
    if "recorded" in case:
        assert list(found.recorded) == case["recorded"]


def test_pandas_is_the_notebooks() -> None:
    lock = (ROOT / "files" / "jupyter" / "datascience" / "requirements.txt").read_text()
    assert re.search(rf"^{re.escape(str(module.ALSO))}\b", lock, re.MULTILINE)


class Server(Silent):
    """A registry with one model of two versions, and the files of the first."""

    uri = "mlflow-artifacts:/1/models/m-1/artifacts"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        path = unquote(address.path).removeprefix("/api/2.0")
        assert self.headers["Authorization"] == "Bearer secret"
        files = {
            "requirements.txt": GOOD["requirements"],
            "python_env.yaml": GOOD["python"],
            "MLmodel": GOOD["model"],
        }
        start = "/mlflow-artifacts/artifacts"
        if path == start:
            assert query["path"] == "1/models/m-1/artifacts"
            listed = [{"path": name, "is_dir": False} for name in files] + [{"path": "code", "is_dir": True}]
            self.say(200, json.dumps({"files": listed}))
        elif path.startswith(start):
            self.say(200, files[path.removeprefix(f"{start}/1/models/m-1/artifacts/")])
        elif query.get("name") != "prices":
            self.say(404, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}))
        elif path == "/mlflow/registered-models/get":
            aliases = [{"alias": "champion", "version": "2"}]
            self.say(200, json.dumps({"registered_model": {"name": "prices", "aliases": aliases}}))
        elif path == "/mlflow/model-versions/get" and query["version"] in "12":
            self.say(200, json.dumps({"model_version": {"version": query["version"]}}))
        elif path == "/mlflow/model-versions/get-download-uri":
            self.say(200, json.dumps({"artifact_uri": self.uri}))
        else:
            self.say(404, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}))

    def say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def url() -> Iterator[str]:
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Server)) as place:
        yield f"http://{place}"


@pytest.fixture
def ask(url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the module with these parameters, and return its answer."""

    def answer(check: bool = False, **given: Any) -> Any:
        params = {"url": url, "token": "secret", "model": "prices", "python": "3.11", **given}
        return run_module("mlflow_model_environment", params, capsys, check=check)

    return answer


def test_the_aliass_version_and_its_environment_are_returned(ask: Callable[..., Any]) -> None:
    found = ask()
    assert (found["version"], found["missing"], found["changed"]) == ("2", "", False)
    assert found["recorded"] == ["mlflow==3.17.2", "pandas==2.3.3"]
    assert found["requirements"] == ["mlflow-skinny==3.17.2", "pandas==2.3.3"]
    assert ask(version="1")["version"] == "1"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": "rain"}, "MLflow has no model rain: log one with registered_model_name='rain'"),
        ({"alias": "production"}, "prices has no alias production in MLflow"),
        ({"version": "3"}, "prices has no version 3 in MLflow"),
    ],
)
def test_what_is_not_there_is_said_and_is_no_error(
    ask: Callable[..., Any], given: dict[str, str], says: str
) -> None:
    found = ask(**given)
    assert (found["version"], found["recorded"]) == ("", [])
    assert found["missing"].startswith(says)


def test_an_environment_that_no_image_can_have_is_refused(ask: Callable[..., Any]) -> None:
    found = ask(python="3.13")
    assert found["failed"]
    assert found["msg"].startswith("version 2 of prices cannot be served: it was logged with Python 3.11")


def test_files_that_mlflow_does_not_hand_out_are_refused(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "uri", "s3://bucket/1")
    found = ask()
    assert "the files are at s3://bucket/1, which MLflow does not hand out" in found["msg"]
    monkeypatch.setattr(Server, "uri", "mlflow-artifacts://mlflow:5000/1/models/m-1/artifacts")
    assert ask()["version"] == "2"


def test_check_mode_comes_before_the_server(ask: Callable[..., Any]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "MLflow does not answer" in ask(check=True, url=nobody)["missing"]
    assert ask(url=nobody)["failed"]
