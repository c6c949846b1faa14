"""What the clients of the hub, MLflow and Kubernetes make of an answer, and of none."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible.module_utils.metalworks.common.json_api import ApiError, JsonApi
from ansible.module_utils.metalworks.jupyterhub.api import HubApi
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.mlflow.api import MlflowApi
from tests.support.cluster_api import kubeconfig
from tests.support.servers import Silent, running

JSON, HTML, PLAIN = "application/json", "text/html", "text/plain; charset=utf-8"
MISSING = '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}'


class Server(Silent):
    """Gives the same answer to every request, and remembers the last one."""

    status, kind, body = 200, JSON, "{}"
    path_asked, token = "", ""

    def do_GET(self) -> None:
        type(self).path_asked, type(self).token = self.path, self.headers.get("Authorization", "")
        self.reply(self.status, self.body, self.kind)

    do_DELETE = do_GET


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Server)) as place:
        yield f"http://{place}"


def client(name: str, server: str, folder: Path) -> JsonApi:
    if name == "kubernetes":
        return KubernetesApi(str(kubeconfig(folder, server, token="secret")))
    return {"hub": HubApi, "mlflow": MlflowApi}[name](f"{server}/", "secret")


def answer(monkeypatch: pytest.MonkeyPatch, status: int, kind: str, body: str) -> None:
    for name, value in {"status": status, "kind": kind, "body": body}.items():
        monkeypatch.setattr(Server, name, value)


@pytest.mark.parametrize(
    ("name", "path", "token"),
    [
        ("hub", "/hub/api/x?limit=2", "token secret"),
        ("mlflow", "/api/2.0/mlflow/x?limit=2", "Bearer secret"),
        ("kubernetes", "/x?limit=2", "Bearer secret"),
    ],
)
def test_a_request_goes_past_the_computers_proxy_to_the_api(
    name: str, path: str, token: str, server: str, tmp_path: Path
) -> None:
    assert client(name, server, tmp_path).request("GET", "/x", limit=2) == {}
    assert (Server.path_asked, Server.token) == (path, token)


@pytest.mark.parametrize(
    ("name", "status", "kind", "body", "says"),
    [
        ("hub", 401, JSON, '{"message": "No"}', "401 No; the hub does not know the token"),
        ("hub", 503, HTML, "<p>", "503 Service Unavailable; the proxy is up, but the hub behind it is not"),
        ("hub", 200, HTML, "<p>", "the answer is not a hub's; is the address right?"),
        ("hub", 200, JSON, "", "the answer is not a hub's; is the address right?"),
        ("mlflow", 400, JSON, MISSING, "400 none"),
        ("mlflow", 200, HTML, "<p>", "the answer is not MLflow's; is the address right?"),
        ("kubernetes", 403, JSON, '{"message": "may not list nodes"}', "403 may not list nodes"),
        ("kubernetes", 503, PLAIN, "no endpoints\n", "503 no endpoints"),
        ("kubernetes", 502, HTML, "<p>", "502 Bad Gateway"),
        ("kubernetes", 403, JSON, "[]", "403 Forbidden"),
    ],
)
def test_an_answer_that_is_no_use_is_explained(
    name: str,
    status: int,
    kind: str,
    body: str,
    says: str,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, status, kind, body)
    with pytest.raises(ApiError) as caught:
        client(name, server, tmp_path).request("GET", "/x")
    assert str(caught.value).startswith(f"GET {server}/")
    assert f"/x: {says}" in str(caught.value)
    assert caught.value.status == (0 if status == 200 else status)


@pytest.mark.parametrize(
    ("name", "body", "none"),
    [("hub", "{}", True), ("kubernetes", "{}", True), ("mlflow", MISSING, True), ("mlflow", "{}", False)],
)
def test_what_is_not_there_is_none_and_an_unknown_page_is_an_error(
    name: str, body: str, none: bool, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, 404, JSON, body)
    api = client(name, server, tmp_path)
    if none:
        assert api.find("/x") is None
    else:
        with pytest.raises(ApiError, match="404"):
            api.find("/x")


def test_a_change_may_be_answered_with_nothing(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 204, JSON, "")
    assert HubApi(server, "t").request("DELETE", "/users/ada") is None


@pytest.mark.parametrize("body", ["a line\n", ""])
def test_a_log_is_text(body: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 200, PLAIN, body)
    assert client("kubernetes", server, tmp_path).request("GET", "/log") == body


def test_no_answer_may_mean_that_the_server_starts() -> None:
    with pytest.raises(ApiError, match=r"^GET .*: no answer \(.+\)$") as caught:
        HubApi("http://127.0.0.1:9", "t").request("GET", "/info")
    assert caught.value.may_be_starting


@pytest.mark.parametrize(("status", "starting"), [(0, True), (503, True), (401, False), (500, False)])
def test_a_refusal_is_not_waited_for(status: int, starting: bool) -> None:
    assert ApiError("", status).may_be_starting is starting
