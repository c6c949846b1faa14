"""What is said about a database that MLflow cannot use. tests/mlflow asks a real PostgreSQL."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from library.mlflow.mlflow_database_probe import Found, judge
from tests.support.cluster_api import serving
from tests.support.modules import run_module

WHERE = "db.example:5432/mlflow"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (Found("public", True, 0, 0, 0), ""),
        (Found("public", True, 40, 1, 1), ""),
        (
            Found("team", False, 0, 0, 0),
            "the user u may not make tables in the database at db.example:5432/mlflow: make it the owner, or "
            "GRANT CREATE ON SCHEMA team TO u",
        ),
        (Found(None, None, 0, 0, 0), "GRANT CREATE ON SCHEMA public TO u"),
        (Found("public", True, 3, 0, 0), "has tables of another program: make a database for MLflow alone"),
        (Found("public", True, 3, 1, 0), "has tables of another program"),
        (Found("public", True, 3, 0, 1), "has tables of another program"),
    ],
)
def test_a_database_that_answers_is_judged(found: Found, sentence: str) -> None:
    said = judge("u", WHERE, found)
    assert sentence in said
    assert bool(sentence) == bool(said)


def test_a_database_that_does_not_answer_is_named_without_its_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"postgresql+psycopg2://u:nobody-sees-this@127.0.0.1:{port}/m"
        answer = run_module("mlflow_database_probe", {"url": url}, capsys)
    assert not answer["failed"] and not answer["changed"]
    (problem,) = answer["problems"]
    assert problem.startswith(f"mlflow_database_url: the database at 127.0.0.1:{port}/m cannot be used:")
    assert "refused" in problem
    assert "nobody-sees-this" not in json.dumps(answer)


NAMED = "/api/v1/namespaces/data/services/db"
SERVICE = {"spec": {"selector": {"app": "db"}, "ports": [{"port": 6432, "targetPort": "sql"}]}}
PODS = "/api/v1/namespaces/data/pods?labelSelector=app%3Ddb"
POD = {
    "metadata": {"name": "db-0"},
    "spec": {"containers": [{"ports": [{"name": "sql", "containerPort": 5432}]}]},
    "status": {"conditions": [{"type": "Ready", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({}, "the cluster does not have the Service db in the namespace data"),
        ({NAMED: 403}, "the cluster cannot be asked:"),
        ({NAMED: {"spec": {}}}, "the Service db in the namespace data has no port 6432, but none"),
        ({NAMED: {"spec": {"ports": [{"port": 5432}]}}}, "has no port 6432, but 5432"),
        (
            {NAMED: SERVICE, PODS: {"items": []}},
            "leads nowhere: no pod with app=db in the namespace data has a port called sql",
        ),
        (
            {NAMED: SERVICE, PODS: {"items": [POD]}},
            "leads nowhere: no pod with app=db in the namespace data is Ready",
        ),
    ],
)
def test_a_service_of_the_cluster_that_leads_nowhere_is_named(
    known: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(known, tmp_path) as kubeconfig:
        given = {"url": "postgresql://u:nobody-sees-this@db.data.svc:6432/m", "kubeconfig": str(kubeconfig)}
        answer = run_module("mlflow_database_probe", given, capsys)
    assert not answer["failed"]
    (problem,) = answer["problems"]
    assert reason in problem
    assert "nobody-sees-this" not in json.dumps(answer)
