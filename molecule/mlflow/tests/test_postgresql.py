"""PostgreSQL in the place of the file: runs outlive the server's pod and the database's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.support.mlflow_server import Server, is_whole, log_model
from tests.support.pods import run_in_pod
from tests.support.waiting import wait_for

from kubernetes import client

NAMESPACE = "databases"
URL = f"postgresql://mlflow:of%2Fthe%40database@postgresql.{NAMESPACE}.svc.cluster.local/mlflow"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            URL.replace("postgresql.", "postgres."),
            "does not have the Service postgres in the namespace databases",
        ),
        (URL.replace("of%2Fthe%40", "guessed-"), "password authentication failed for user"),
    ],
)
def test_a_wrong_database_of_the_cluster_is_refused_before_anything_changes(
    server: Server, url: str, reason: str
) -> None:
    outcome = server.converge(mlflow_database_url=url)
    assert outcome.code != 0 and outcome.changed_nothing
    assert "Nothing was changed: mlflow_database_url: " in outcome.said and reason in outcome.said


@pytest.fixture(scope="module", autouse=True)
def _server_of_postgresql(server: Server) -> Iterator[None]:
    """The server with another database, and afterwards with its own again."""
    server.converge(mlflow_database_url=URL).check()
    server.forget()
    yield
    server.converge().check()
    server.forget()


Ask = Callable[..., str]


@pytest.fixture
def inside(core: client.CoreV1Api) -> Ask:
    """Run a command beside the database."""

    def run(*command: str) -> str:
        (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector="app=postgresql").items
        return run_in_pod(core, NAMESPACE, pod.metadata.name, *command).strip()

    return run


def recorded(inside: Ask, run: str) -> str:
    """Who owns a run, as the database says."""
    statement = f"SELECT user_id FROM runs WHERE run_uuid = '{run}'"
    return inside("psql", "--tuples-only", "--no-align", "--dbname=mlflow", f"--command={statement}")


def test_runs_are_in_the_database_and_outlive_the_servers_pod(server: Server, inside: Ask) -> None:
    user1 = server.user("user1")
    run, name = log_model(user1)
    assert recorded(inside, run) == "user1"
    (pod,) = server.pods()
    assert not [volume for volume in pod.spec.volumes if volume.persistent_volume_claim]

    server.delete_pod()
    user2 = server.user("user2")
    assert is_whole(user2, run)
    found = user2.may("GET", "registered-models/get", params={"name": name})
    assert found["registered_model"]["latest_versions"][0]["run_id"] == run
    user2.refused("POST", "runs/delete", {"run_id": run})


def test_the_server_goes_on_when_its_database_was_gone(server: Server, inside: Ask) -> None:
    user1 = server.user("user1")
    run, _ = log_model(user1)
    (before,) = server.pods()
    # PostgreSQL's own way to end at once, as if its machine had been switched off.
    inside("pg_ctl", "stop", "--mode=immediate", "--no-wait")

    def answers() -> bool:
        return user1.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run}").status_code == 200

    wait_for(answers, lambda: f"the server does not come back: {server.describe()}", 120)
    assert is_whole(user1, run)
    assert recorded(inside, log_model(user1)[0]) == "user1"
    (after,) = server.pods()
    assert after.metadata.uid == before.metadata.uid


def test_a_second_run_of_the_role_changes_nothing(server: Server) -> None:
    assert server.converge(mlflow_database_url=URL).check().changed_nothing
