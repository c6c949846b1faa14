"""From a table to a data set with a version, a run and a model: with one login, and no line of settings."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from test_notebooks import CUSTOM_IMAGE, delete_pod
from visitor import User, Visitor

pytestmark = pytest.mark.parts("object_store", "mlflow", "door")

# In milliseconds: Python reads MLflow's and DVC's many modules for the first time.
WORKING_TIME = 300_000
# Keeps a table as a data set, and logs a run with a model that has learned from it.
WORK = """\
import os, subprocess
import mlflow, pandas

def sh(line):
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert done.returncode == 0, f"{{line}}: {{done.stderr}}"
    return done.stdout

os.makedirs("{name}")
os.chdir("{name}")
pandas.DataFrame({{"amount": [1, 2, 39]}}).to_csv("table.csv", index=False)
sh("git init -q && dvc init -q && dvc add -q table.csv && dvc push -q")
sh("git add . && git -c user.name=me -c user.email=me@example.test commit -qm 'Keep the table'")

class Mean(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float]) -> list[float]:
        return [14.0 for _ in model_input]

# Without scipy MLflow only warns, and the columns have no names.
table = pandas.read_csv("table.csv")
signature = mlflow.models.infer_signature(table)
assert signature.inputs.input_names() == ["amount"], signature

mlflow.set_experiment("{name}")
with mlflow.start_run(run_name="first") as run:
    mlflow.log_metric("sum", float(table.amount.sum()))
    mlflow.pyfunc.log_model(name="mean", python_model=Mean(), pip_requirements=[],
                            registered_model_name="{name}")
print("run", run.info.run_id)"""
# In another server: the data set comes out of the store, and the model out of MLflow.
AGAIN = """\
import subprocess
import mlflow, pandas
line = "rm -rf copy && git clone -q {name} copy && cd copy && dvc pull -q"
done = subprocess.run(line, shell=True, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
print("sum", pandas.read_csv("copy/table.csv").amount.sum())
print("mean", mlflow.pyfunc.load_model("models:/{name}/1").predict([1.0]))"""
# What another user tries.
STRANGER = """\
import botocore.session
from mlflow import MlflowClient
store, client = botocore.session.get_session().create_client("s3"), MlflowClient()
run = client.search_runs([client.get_experiment_by_name("{name}").experiment_id])[0].info.run_id
tries = {{
    "list": lambda: store.list_objects_v2(Bucket="user-{owner}"),
    "read": lambda: store.get_object(Bucket="user-{owner}", Key="dvc"),
    "write": lambda: store.put_object(Bucket="user-{owner}", Key="x", Body=b"x"),
    "delete": lambda: store.delete_object(Bucket="user-{owner}", Key="dvc"),
    "run": lambda: client.delete_run(run),
    "metric": lambda: client.log_metric(run, "sum", 0.0),
    "version": lambda: client.delete_model_version("{name}", "1"),
    "champion": lambda: client.set_registered_model_alias("{name}", "champion", "1"),
}}
allowed = []
for what, attempt in tries.items():
    try:
        attempt()
        allowed.append(what)
    except Exception as error:
        assert any(word in str(error) for word in ("AccessDenied", "PERMISSION_DENIED")), (what, error)
print("allowed:", allowed)"""


def test_a_table_becomes_a_data_set_a_run_and_a_model(
    new_visitor: Callable[[], Visitor], users: list[User], core: Any, namespace: str, hub_url: str
) -> None:
    user, other, name = users[0], users[1], f"proof-{secrets.token_hex(4)}"
    owner, stranger = new_visitor(), new_visitor()
    output = (
        owner.start_server(user, CUSTOM_IMAGE).new_notebook().run(0, WORK.format(name=name), WORKING_TIME)
    )
    owner.album.take(owner.page, "logged")
    run = re.search(r"^run ([0-9a-f]{32})$", output.text, re.MULTILINE)
    assert run, output
    assert "TqdmWarning" not in output.text, "progress bars need ipywidgets"

    visited = owner.home.open_page("MLflow")
    assert not [address for address in visited if "/hub/login" in address]
    said = owner.mlflow.open_experiment(name).open_run("first")
    assert re.search(rf"Created by\s+{user.name}\b", said)

    uid = delete_pod(core, namespace, user)
    lab = owner.start_another_server(CUSTOM_IMAGE)
    assert core.read_namespaced_pod(user.pod, namespace).metadata.uid != uid
    output = lab.new_notebook().run(0, AGAIN.format(name=name), WORKING_TIME)
    # Between them are the progress bars of MLflow.
    assert {"sum 42", "mean [14.0]"} <= {*output.text.splitlines()}, output
    assert "TqdmWarning" not in output.text, "progress bars need ipywidgets"

    lab = stranger.start_server(other, CUSTOM_IMAGE).new_notebook()
    output = lab.run(0, STRANGER.format(name=name, owner=user.name), WORKING_TIME)
    stranger.album.take(stranger.page, "refused")
    assert output.text.endswith("allowed: []"), output
    stranger.home.open_page("MLflow")
    assert run[1] in stranger.mlflow.open_experiment(name).open_run("first")
    assert stranger.mlflow.delete_run(run[1]) == 403

    owner.home.open_page("MLflow")
    assert owner.mlflow.delete_run("0" * 32) == 404
    other_tab = owner.page.context.new_page()
    other_tab.goto(f"{hub_url}/hub/logout")
    assert owner.mlflow.delete_run(run[1]) == 401
    owner.page.reload()
    assert "/hub/login" in owner.page.url
