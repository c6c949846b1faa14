"""Nobody is answered for whom nobody vouches, except by the probes."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
import requests
from tests.mlflow.conftest import SECRET, TOKEN, As
from tests.support.waiting import wait_for

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.mark.parametrize("path", ["/health", "/version", "/metrics"])
def test_probes_need_no_identity(url: str, path: str) -> None:
    assert requests.get(f"{url}{path}", timeout=30).status_code == 200


def test_the_version_is_the_pinned_one(url: str) -> None:
    assert requests.get(f"{url}/version", timeout=30).text == "3.17.2"


FORGED = {"X-Metalworks-User": "user1", "X-Metalworks-Groups": "admins"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        FORGED,
        {**FORGED, "X-Metalworks-Door": ""},
        {**FORGED, "X-Metalworks-Door": SECRET[:-1]},
        {"X-Metalworks-Door": SECRET},
        {"X-Metalworks-Door": SECRET, "X-Metalworks-User": ""},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {SECRET}"},
        {"Authorization": f"Basic {TOKEN}"},
        # With a wrong secret, a right token does not help.
        {**FORGED, "X-Metalworks-Door": "wrong", "Authorization": f"Bearer {TOKEN}"},
    ],
)
@pytest.mark.parametrize("path", [SEARCH, "/", "/graphql", "/get-artifact", "/nothing"])
def test_a_forged_identity_is_refused(url: str, headers: dict[str, str], path: str) -> None:
    answer = requests.get(f"{url}{path}", headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"


def test_a_header_that_is_there_twice_is_refused(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.putrequest("GET", SEARCH)
    for name, value in (
        ("X-Metalworks-Door", SECRET),
        ("X-Metalworks-User", "user2"),
        ("X-Metalworks-User", "user1"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_program_with_a_token_has_its_own_name(url: str) -> None:
    answer = requests.post(
        f"{url}/api/2.0/mlflow/runs/create",
        json={"experiment_id": "0", "user_id": "user1"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    assert answer.json()["run"]["info"]["user_id"] == "service:trainer"


def test_another_host_than_the_servers_is_refused(user1: As) -> None:
    assert user1.ask("GET", SEARCH, headers={"Host": "evil.example"}).status_code == 403


def test_a_page_of_another_origin_cannot_write(user1: As) -> None:
    answer = user1.ask(
        "POST", "/api/2.0/mlflow/runs/create", json={}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403
    assert "CORS" in answer.text or "ross-origin" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("POST", "/gateway/mlflow/v1/chat/completions"),
        ("POST", "/gateway/proxy/x/y"),
    ],
)
def test_what_runs_programs_or_calls_others_is_off_even_for_admins(admin: As, method: str, path: str) -> None:
    answer = admin.ask(method, path, json={})
    assert answer.status_code == 403
    assert "is off here" in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("GET", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
        ("GET", "/api/3.0/mlflow/gateway/secrets/list"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("DELETE", "/api/3.0/mlflow/workspaces/default"),
        ("POST", "/api/3.0/mlflow/mcp-servers"),
    ],
)
def test_what_is_not_listed_is_for_admins(user1: As, deployer: As, method: str, path: str) -> None:
    for who in (user1, deployer):
        answer = who.ask(method, path, json={})
        assert answer.status_code == 403
        assert "for admins only" in answer.json()["message"]


def test_the_pages_are_served(user1: As) -> None:
    answer = user1.ask("GET", "/")
    assert answer.status_code == 200
    assert "<title>MLflow</title>" in answer.text
    # A run's page asks for models of a gateway, and shows a refusal as an error.
    answer = user1.ask(
        "GET", "/ajax-api/2.0/mlflow/gateway-proxy", params={"gateway_path": "api/2.0/endpoints/"}
    )
    assert answer.json() == {"endpoints": []}


def test_requests_are_counted(url: str, user1: As) -> None:
    assert user1.ask("GET", SEARCH).status_code == 200
    counted = 'mlflow_http_requests_total{endpoint="_search_experiments",method="GET",status="200"}'

    def metrics() -> str:
        return requests.get(f"{url}/metrics", timeout=30).text

    # A request is counted after its answer has been sent.
    wait_for(lambda: counted in metrics(), f"{counted} is not among the metrics", 30, every=0.1)
    assert "process_resident_memory_bytes" in metrics()
