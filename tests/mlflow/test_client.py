"""MLflow's own client, unchanged: runs, files, models, aliases and traces, with a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mlflow.conftest import TOKEN

CLIENT = """
import json, os, sys, tempfile
from pathlib import Path
import mlflow
from mlflow import MlflowClient
mlflow.set_tracking_uri(os.environ["URL"])
client = MlflowClient()
mlflow.set_experiment("of a program")
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
with mlflow.start_run() as run:
    mlflow.log_metric("score", 0.5)
    path = Path(tempfile.mkdtemp()) / "data.bin"
    path.write_bytes(os.urandom(3_000_000))
    mlflow.log_artifact(str(path))
    logged = mlflow.pyfunc.log_model(name="model", python_model=Model(), pip_requirements=[])
with mlflow.start_span("question") as span:
    span.set_inputs({"a": 1})
mlflow.flush_trace_async_logging()
version = mlflow.register_model(logged.model_uri, "of-a-program")
client.set_registered_model_alias("of-a-program", "candidate", version.version)
refused = ""
try:
    client.set_registered_model_alias("of-a-program", "champion", version.version)
except mlflow.exceptions.MlflowException as error:
    refused = str(error)
model = mlflow.pyfunc.load_model("models:/of-a-program@candidate")
back = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="data.bin"))
traces = client.search_traces(locations=[run.info.experiment_id])
print(json.dumps({
    "user": client.get_run(run.info.run_id).info.user_id,
    "version": str(version.version),
    "same": back.read_bytes() == path.read_bytes(),
    "answer": model.predict([1, 2]),
    "refused": refused,
    "traces": [trace.info.tags.get("mlflow.user") for trace in traces],
}))
"""


def test_mlflows_own_client_works_as_it_is(url: str, ask_python: Callable[..., Any], folder: Any) -> None:
    found = ask_python(
        CLIENT,
        URL=url,
        MLFLOW_TRACKING_TOKEN=TOKEN,
        MLFLOW_BACKEND_STORE_URI="",
        MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="false",
        HOME=str(folder),
    )
    assert found["user"] == "service:trainer"
    assert found["version"] == "1"
    assert found["same"]
    assert found["answer"] == [1, 2]
    assert "the alias champion of of-a-program" in found["refused"]
    assert found["traces"] == ["service:trainer"]
