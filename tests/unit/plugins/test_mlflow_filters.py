"""Who may connect to MLflow's server, and where it connects to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plugins.filter.mlflow import FilterModule

FILTERS = FilterModule().filters()
STORE = "http://object-store.object-store.svc.cluster.local:7070"


@pytest.mark.parametrize(
    ("database", "endpoint", "ports"),
    [
        ("sqlite:////data/mlflow.db", "", []),
        ("sqlite:////data/mlflow.db", STORE, [{"port": 7070, "namespace": "object-store"}]),
        ("sqlite:////data/mlflow.db", "https://s3.example", [{"port": 443}]),
        ("postgresql://u:p@db.example/m", "", [{"port": 5432}]),
        ("postgresql+psycopg2://u:p%2F@db.team.svc:6432/m", "", [{"port": 6432, "namespace": "team"}]),
        ("postgresql://u:p@198.18.0.9/m", "http://s3:9000", [{"port": 5432}, {"port": 9000}]),
    ],
)
def test_the_server_connects_to_its_database_and_its_store(
    database: str, endpoint: str, ports: list[dict[str, Any]]
) -> None:
    assert FILTERS["mlflow_egress"](database, endpoint) == ports


@pytest.mark.parametrize(
    ("database", "outside"),
    [
        ("sqlite:////data/mlflow.db", False),
        ("postgresql://u:p@db.example/m", True),
        ("postgresql+psycopg2://u:p@198.18.0.9:6432/m", True),
        ("postgresql://u:p@db.team.svc.cluster.local/m", False),
        ("postgresql://u:p@db.team.svc:5432/m", False),
    ],
)
def test_a_database_of_the_cluster_is_not_asked_from_here(database: str, outside: bool) -> None:
    assert FILTERS["mlflow_database_is_outside"](database) is outside


def test_pods_that_say_so_are_clients() -> None:
    assert FILTERS["mlflow_clients"](["jobs"]) == [
        {"namespace": "jobs", "pods": {"metalworks.io/mlflow-client": "true"}}
    ]


def test_programs_have_their_tokens() -> None:
    programs = [{"name": "trainer"}, {"name": "release", "groups": ["deployers"]}]
    tokens = FILTERS["mlflow_tokens"](programs, ["t1", "t2"])
    assert tokens == {"trainer": "t1", "release": "t2"}
    assert json.loads(FILTERS["mlflow_programs"](programs, tokens)) == {
        "t1": {"name": "trainer", "groups": []},
        "t2": {"name": "release", "groups": ["deployers"]},
    }
