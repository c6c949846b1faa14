"""Everybody reads; the owner, the deployers and admins change; the deployers decide what is in production."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
import requests
from tests.mlflow.conftest import As


def version(name: str, number: str = "1", **more: Any) -> dict[str, Any]:
    return {"name": name, "version": number, **more}


# Runs and experiments.


def test_a_run_is_of_who_asks_whatever_the_client_says(user1: As) -> None:
    said = {
        "user_id": "user2",
        "tags": [{"key": "mlflow.user", "value": "user2"}, {"key": "a", "value": "b"}],
    }
    run = user1.run(**said)
    found = user1.may("GET", "runs/get", params={"run_id": run})["run"]
    assert found["info"]["user_id"] == "user1"
    tags = {tag["key"]: tag["value"] for tag in found["data"]["tags"]}
    assert tags["mlflow.user"] == "user1"
    assert tags["a"] == "b"


def run_writes(run: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every request that changes a run."""
    model = {"run_id": run, "artifact_path": "m", "utc_time_created": "1", "flavors": {}}
    writes: dict[str, dict[str, Any]] = {
        "update": {"status": "FINISHED"},
        "log-metric": {"key": "m", "value": 1, "timestamp": 1},
        "log-parameter": {"key": "p", "value": "1"},
        "log-batch": {"metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": 0}]},
        "set-tag": {"key": "t", "value": "1"},
        "delete-tag": {"key": "t"},
        "log-inputs": {"datasets": []},
        "outputs": {"models": []},
        "log-model": {"model_json": json.dumps(model)},
        "delete": {},
        "restore": {},
    }
    return [(f"runs/{path}", {"run_id": run, **body}) for path, body in writes.items()]


def test_nobody_else_changes_a_run(user1: As, user2: As) -> None:
    run = user1.run()
    user1.may("POST", "runs/set-tag", {"run_id": run, "key": "t", "value": "before"})
    before = user1.may("GET", "runs/get", params={"run_id": run})
    for path, body in run_writes(run):
        assert f"run {run} belongs to user1" in user2.refused("POST", path, body)
        # The pages' own API is the same.
        assert user2.ask("POST", f"/ajax-api/2.0/mlflow/{path}", json=body).status_code == 403
    assert user2.may("GET", "runs/get", params={"run_id": run}) == before, "read, and unchanged"


@pytest.mark.parametrize("who", ["user1", "deployer", "admin"])
def test_owner_deployer_and_admin_change_a_run(user1: As, who: str, request: pytest.FixtureRequest) -> None:
    run = user1.run()
    other: As = request.getfixturevalue(who)
    for path, body in run_writes(run):
        other.may("POST", path, body)
    info = user1.may("GET", "runs/get", params={"run_id": run})["run"]["info"]
    assert info["lifecycle_stage"] == "active"
    assert info["user_id"] == "user1"


def test_a_run_is_not_given_away(user1: As) -> None:
    run = user1.run()
    tag = {"key": "mlflow.user", "value": "user2"}
    assert "sets the tag" in user1.refused("POST", "runs/set-tag", {"run_id": run, **tag})
    assert "sets the tag" in user1.refused("POST", "runs/delete-tag", {"run_id": run, "key": "mlflow.user"})
    assert "sets the tag" in user1.refused("POST", "runs/log-batch", {"run_id": run, "tags": [tag]})


def test_names_of_fields_in_another_spelling_are_judged_alike(user1: As, user2: As) -> None:
    run, own = user1.run(), user2.run()
    for body in (
        {"runId": run, "key": "t", "value": "x"},
        {"run_uuid": run, "key": "t", "value": "x"},
        {"run_id": own, "runUuid": run, "key": "t", "value": "x"},
    ):
        user2.ask("POST", "/api/2.0/mlflow/runs/set-tag", json=body)
        user2.ask("POST", "/api/2.0/mlflow/runs/set-tag", json=body, params={"run_id": own})
    found = user1.may("GET", "runs/get", params={"run_id": run})["run"]["data"].get("tags", [])
    assert "t" not in {tag["key"] for tag in found}


def test_an_experiment_has_an_owner(user1: As, user2: As) -> None:
    experiment = user1.experiment()
    of_it = {"experiment_id": experiment}
    user2.refused("POST", "experiments/update", {**of_it, "new_name": uuid.uuid4().hex})
    user2.refused("POST", "experiments/set-experiment-tag", {**of_it, "key": "a", "value": "b"})
    user2.refused("POST", "experiments/delete-experiment-tag", {**of_it, "key": "mlflow.user"})
    user2.refused("POST", "experiments/delete", of_it)
    user1.may("POST", "experiments/update", {**of_it, "new_name": uuid.uuid4().hex})
    user1.may("POST", "experiments/delete", of_it)
    user2.refused("POST", "experiments/restore", of_it)
    user1.may("POST", "experiments/restore", of_it)


def test_the_default_experiment_belongs_to_nobody(user1: As) -> None:
    assert "belongs to nobody" in user1.refused("POST", "experiments/delete", {"experiment_id": "0"})


def test_an_experiment_with_runs_of_others_stays(user1: As, user2: As, deployer: As) -> None:
    experiment = user1.experiment()
    user2.run(experiment)
    assert "holds runs of user2" in user1.refused("POST", "experiments/delete", {"experiment_id": experiment})
    deployer.may("POST", "experiments/delete", {"experiment_id": experiment})


def test_the_server_decides_where_artifacts_lie(user1: As) -> None:
    for place in ("s3://models/x", "file:///etc", "mlflow-artifacts:/0/other"):
        body = {"name": uuid.uuid4().hex, "artifact_location": place}
        assert "where artifacts lie" in user1.refused("POST", "experiments/create", body)


# Logged models and traces.


def test_a_logged_model_has_an_owner(user1: As, user2: As) -> None:
    run = user1.run()
    body = {"experiment_id": "0", "name": "m", "source_run_id": run}
    user2.refused("POST", "logged-models", body)
    model = user1.may("POST", "logged-models", body)["model"]["info"]["model_id"]
    ready = {"model_id": model, "status": "LOGGED_MODEL_READY"}
    user2.refused("PATCH", f"logged-models/{model}", ready)
    user2.refused("PATCH", f"logged-models/{model}/tags", {"tags": [{"key": "a", "value": "b"}]})
    params = {"model_id": model, "params": [{"key": "a", "value": "b"}]}
    user2.refused("POST", f"logged-models/{model}/params", params)
    user2.refused("DELETE", f"logged-models/{model}")
    user1.may("PATCH", f"logged-models/{model}", ready)
    user1.may("DELETE", f"logged-models/{model}")


def trace(name: str) -> dict[str, Any]:
    return {
        "trace": {
            "trace_info": {
                "trace_id": name,
                "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
                "request_time": "2026-01-01T00:00:00Z",
                "state": "OK",
                "tags": {"mlflow.user": "user2", "mlflow.artifactLocation": "file:///etc"},
            }
        }
    }


def test_a_trace_has_an_owner(user1: As, user2: As) -> None:
    name = f"tr-{uuid.uuid4().hex}"
    v3, now = "/api/3.0/mlflow/traces", int(time.time() * 1000)
    begun = user1.ask("POST", v3, json=trace(name))
    assert begun.status_code == 200, begun.text
    tags = begun.json()["trace"]["trace_info"]["tags"]
    assert tags["mlflow.user"] == "user1"
    assert tags["mlflow.artifactLocation"].startswith("mlflow-artifacts:/")
    for method, path, body in (
        ("POST", v3, trace(name)),
        ("PATCH", f"{v3}/{name}/tags", {"key": "a", "value": "b"}),
        ("DELETE", f"{v3}/{name}/tags", {"key": "a"}),
        ("POST", f"{v3}/delete-traces", {"experiment_id": "0", "request_ids": [name]}),
        (
            "POST",
            f"{v3}/delete-traces",
            {"experiment_id": "0", "max_timestamp_millis": now},
        ),
    ):
        assert user2.ask(method, path, json=body).status_code == 403, (method, path)
    location = {"key": "mlflow.artifactLocation", "value": "file:///etc"}
    assert user1.ask("PATCH", f"{v3}/{name}/tags", json=location).status_code == 403
    assert user1.ask("PATCH", f"{v3}/{name}/tags", json={"key": "a", "value": "b"}).status_code == 200


# Artifacts.

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


def put(who: As, path: str, content: bytes = b"x") -> int:
    return who.ask("PUT", f"{PROXY}/{path}", data=content).status_code


def test_artifacts_belong_to_their_run(user1: As, user2: As, deployer: As) -> None:
    run = user1.run()
    path = f"0/{run}/artifacts/folder/model.bin"
    assert put(user1, path, b"whole") == 200
    assert put(user2, path, b"other") == 403
    assert user2.ask("PUT", f"/ajax-api/2.0/mlflow-artifacts/artifacts/{path}", data=b"o").status_code == 403
    assert user2.ask("DELETE", f"{PROXY}/{path}").status_code == 403
    assert user2.ask("DELETE", f"{PROXY}/0/{run}/artifacts").status_code == 403
    for step in ("create", "complete", "abort"):
        mpu = f"/api/2.0/mlflow-artifacts/mpu/{step}/{path}"
        assert user2.ask("POST", mpu, json={"path": path, "num_parts": 1}).status_code == 403
    assert user2.ask("GET", f"{PROXY}/{path}").content == b"whole"
    assert put(deployer, path, b"another") == 200
    assert user1.ask("DELETE", f"{PROXY}/{path}").status_code == 200


def test_a_path_that_could_be_read_in_two_ways_is_refused(user1: As, user2: As) -> None:
    run, own = user1.run(), user2.run()
    put(user1, f"0/{run}/artifacts/a", b"whole")
    for path in (
        f"0/{own}/artifacts/../../{run}/artifacts/a",
        f"0/{own}/artifacts/%2e%2e/%2e%2e/{run}/artifacts/a",
        f"0/{own}/artifacts/%252e%252e/%252e%252e/{run}/artifacts/a",
        f"0/{own}/artifacts/..%2f..%2f{run}/artifacts/a",
        f"0/{own}/artifacts//../../{run}/artifacts/a",
        f"./0/{run}/artifacts/a",
        f"0//{run}/artifacts/a",
        f"0/{own}/artifacts/..\\..\\{run}\\artifacts\\a",
        f"0/{own}/artifacts/a;",  # MLflow writes `a`
        "0",
        f"0/{run}",
        "elsewhere/a",
        f"0/{uuid.uuid4().hex}/artifacts/a",
    ):
        prepared = user2.session.prepare_request(requests.Request("PUT", user2.url, data=b"other"))
        prepared.url = f"{user2.url}{PROXY}/{path}"
        assert user2.session.send(prepared, timeout=30).status_code in (400, 403, 404, 405), path
    assert user1.ask("GET", f"{PROXY}/0/{run}/artifacts/a").content == b"whole"


# Registered models and what is in production.


def test_a_registered_model_has_an_owner(user1: As, user2: As) -> None:
    name, own = user1.model(), user2.run()
    tag = {"key": "a", "value": "b"}
    for method, path, body in (
        ("PATCH", "registered-models/update", {"name": name, "description": "x"}),
        ("POST", "registered-models/rename", {"name": name, "new_name": uuid.uuid4().hex}),
        ("POST", "registered-models/set-tag", {"name": name, **tag}),
        ("DELETE", "registered-models/delete-tag", {"name": name, "key": "mlflow.user"}),
        ("POST", "registered-models/alias", version(name, alias="mine")),
        ("DELETE", "registered-models/alias", {"name": name, "alias": "mine"}),
        ("PATCH", "model-versions/update", version(name, description="x")),
        ("POST", "model-versions/set-tag", version(name, **tag)),
        ("DELETE", "model-versions/delete-tag", version(name, key="a")),
        ("DELETE", "model-versions/delete", version(name)),
        ("DELETE", "registered-models/delete", {"name": name}),
        ("POST", "model-versions/create", {"name": name, "source": f"runs:/{own}/m", "run_id": own}),
    ):
        user2.refused(method, path, body)
    user1.may("POST", "registered-models/alias", version(name, alias="mine"))
    found = user2.may("GET", "registered-models/alias", params={"name": name, "alias": "mine"})
    assert found["model_version"]["version"] == "1"
    user1.may("DELETE", "registered-models/alias", {"name": name, "alias": "mine"})
    user1.may("DELETE", "model-versions/delete", version(name))
    user1.may("DELETE", "registered-models/delete", {"name": name})


def test_only_deployers_move_the_champion(user1: As, user2: As, deployer: As) -> None:
    name = user1.model()
    champion = version(name, alias="champion")
    for who in (user1, user2):
        assert "for the group deployers" in who.refused("POST", "registered-models/alias", champion)
    deployer.may("POST", "registered-models/alias", champion)
    for who in (user1, user2):
        who.refused("DELETE", "registered-models/alias", {"name": name, "alias": "champion"})
        who.refused("DELETE", "model-versions/delete", version(name))
        who.refused("DELETE", "registered-models/delete", {"name": name})
        who.refused("POST", "registered-models/rename", {"name": name, "new_name": uuid.uuid4().hex})
        who.refused("POST", "model-versions/transition-stage", version(name, stage="Production"))
    deployer.may("DELETE", "registered-models/alias", {"name": name, "alias": "champion"})
    user1.may("DELETE", "registered-models/delete", {"name": name})


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("models:/{model}", ["models/{model}/artifacts"]),
        # A client reads the run's folder and the run's logged model of that name.
        ("runs:/{run}/m", ["{run}/artifacts/m", "models/{model}/artifacts"]),
        ("runs:/{run}/m/folder", ["{run}/artifacts/m/folder", "models/{model}/artifacts/folder"]),
        ("runs:/{run}", ["{run}/artifacts"]),
    ],
)
def test_the_artifacts_of_the_champion_are_not_exchanged(
    user1: As, deployer: As, source: str, places: list[str]
) -> None:
    name, run = f"model-{uuid.uuid4().hex}", user1.run()
    model = user1.may("POST", "logged-models", {"experiment_id": "0", "name": "m", "source_run_id": run})
    key = model["model"]["info"]["model_id"]
    folders = [f"0/{place.format(run=run, model=key)}" for place in places]
    for folder in folders:
        assert put(user1, f"{folder}/model.bin", b"good") == 200
    user1.may("POST", "registered-models/create", {"name": name})
    body = {"name": name, "source": source.format(run=run, model=key)}
    of_it = {"model_id": key} if source.startswith("models:") else {"run_id": run}
    user1.may("POST", "model-versions/create", {**body, **of_it})
    for folder in folders:
        assert put(user1, f"{folder}/model.bin", b"better") == 200, "it is not in production yet"
    deployer.may("POST", "registered-models/alias", version(name, alias="champion"))
    for folder in folders:
        assert put(user1, f"{folder}/model.bin", b"evil") == 403
        assert user1.ask("DELETE", f"{PROXY}/{folder}").status_code == 403
        assert user1.ask("GET", f"{PROXY}/{folder}/model.bin").content == b"better"
    assert put(user1, f"0/{user1.run()}/artifacts/m/model.bin") == 200, "another run's are as before"


@pytest.mark.parametrize("place", ["%6d", "m%3F", "m;", "m?x", "m#x"])
def test_a_version_has_no_source_that_could_be_read_in_two_ways(user1: As, place: str) -> None:
    # All of these are `m` to MLflow when it reads.
    name, run = f"model-{uuid.uuid4().hex}", user1.run()
    user1.may("POST", "registered-models/create", {"name": name})
    body = {"name": name, "source": f"runs:/{run}/{place}", "run_id": run}
    answer = user1.ask("POST", "/api/2.0/mlflow/model-versions/create", json=body)
    assert answer.status_code == 400, answer.text
    assert "is not kept by this server" in answer.text


@pytest.mark.parametrize(
    "source",
    [
        "http://169.254.169.254/latest",
        "s3://models/secret",
        "file:///data/mlflow.db",
        "mlflow-artifacts://evil/0/x",
    ],
)
def test_a_version_comes_from_artifacts_that_the_server_keeps(user1: As, source: str) -> None:
    name = f"model-{uuid.uuid4().hex}"
    user1.may("POST", "registered-models/create", {"name": name})
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    for more in ({}, {"tags": tags}):
        answer = user1.ask(
            "POST", "/api/2.0/mlflow/model-versions/create", json={"name": name, "source": source, **more}
        )
        assert answer.status_code == 400, answer.text
