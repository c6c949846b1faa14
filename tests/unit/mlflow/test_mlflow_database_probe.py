"""What is said about a database that MLflow cannot use. tests/mlflow asks a real PostgreSQL."""

from __future__ import annotations

import json
import socket

import pytest
from library.mlflow.mlflow_database_probe import Found, judge
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
