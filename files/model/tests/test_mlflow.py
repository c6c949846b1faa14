"""The registry in a real MLflow server, and a model that somebody else logged there.

METALWORKS_MLFLOW_PYTHON names an interpreter that has MLflow's server (files/mlflow/requirements.txt).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from metalworks_model.models.artifact import ArtifactProblem
from metalworks_model.models.kinds import open_model
from metalworks_model.models.registry import MlflowRegistry, NotThere, RegistryProblem

from .conftest import Process, free_port

PYTHON = os.environ.get("METALWORKS_MLFLOW_PYTHON", "")
pytestmark = [
    pytest.mark.skipif(
        not PYTHON, reason="METALWORKS_MLFLOW_PYTHON names no interpreter with MLflow's server"
    ),
    pytest.mark.filterwarnings("ignore"),
]
# What a notebook would run.
NOTEBOOK = """
import mlflow, numpy as np, pandas as pd
mlflow.set_tracking_uri("{url}")
class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input["x"] * 2 + model_input["y"]).to_numpy()
example = pd.DataFrame({{"x": [1.0], "y": [2.0]}})
signature = mlflow.models.infer_signature(example, np.array([4.0])) if {signed} else None
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="model", python_model=Doubler(), signature=signature,
                            registered_model_name="{name}", pip_requirements=[])
mlflow.MlflowClient().set_registered_model_alias("{name}", "champion", "1")
"""


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server, and its process."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [
        *(PYTHON, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", f"{folder}/artifacts"),
    ]
    variables = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # It executes uvicorn, which has to be the one of its own environment.
        "PATH": f"{Path(PYTHON).parent}:{os.environ['PATH']}",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log, cwd=folder)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 240
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                break
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail((folder / "log").read_text()[-3000:])
            time.sleep(0.5)
    yield url, process
    process.terminate()
    process.wait(30)


def test_versions_aliases_tags_and_files_go_there_and_back(
    mlflow: tuple[str, subprocess.Popen[bytes]], artifact: Path, tmp_path: Path
) -> None:
    registry = MlflowRegistry(mlflow[0])
    with pytest.raises(NotThere):
        registry.version_of("goods", "champion")
    for number in ("1", "2"):
        assert registry.publish("goods", artifact, {"data": "abc"}, {"ndcg": 0.5}) == number
    with pytest.raises(NotThere):
        registry.version_of("goods", "champion")
    registry.point("goods", "champion", "2")
    assert registry.version_of("goods", "champion") == "2"
    assert registry.tags("goods", "2")["data"] == "abc"
    registry.fetch("goods", "2", tmp_path / "files")
    assert {each.name: each.read_bytes() for each in (tmp_path / "files").iterdir()} == {
        each.name: each.read_bytes() for each in artifact.iterdir()
    }
    registry.point("goods", "champion", None)
    with pytest.raises(NotThere):
        registry.version_of("goods", "champion")
    with pytest.raises(RegistryProblem):
        registry.point("goods", "champion", "99")


def notebook(url: str, name: str, signed: bool) -> None:
    code = NOTEBOOK.format(url=url, name=name, signed=signed)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_model_that_a_notebook_logged_is_served(
    mlflow: tuple[str, subprocess.Popen[bytes]], serve: Callable[..., Process]
) -> None:
    notebook(mlflow[0], "doubler", signed=True)
    server = serve(mlflow[0], model="doubler")
    found = server.ask("GET", "/v2/models/doubler").json
    assert [each["name"] for each in found["inputs"]] == ["x", "y"]
    assert {each["datatype"] for each in found["inputs"]} == {"FP64"}
    inputs = [{"name": name, "datatype": "FP64", "shape": [2], "data": [1.5, 2.5]} for name in ("x", "y")]
    answer = server.ask("POST", "/v2/models/doubler/infer", {"inputs": inputs}).json
    assert (answer["model_name"], answer["model_version"]) == ("doubler", "1")
    assert answer["outputs"] == [{"name": "output", "datatype": "FP64", "shape": [2], "data": [4.5, 7.5]}]
    refused = server.ask("POST", "/v2/models/doubler/infer", {"inputs": inputs[:1]})
    assert (refused.status, refused.json["error"]) == (400, "the input y is missing")
    assert server.ask("GET", "/recommend?user=1").status == 404


def test_a_model_without_a_signature_is_refused(
    mlflow: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    notebook(mlflow[0], "unsigned", signed=False)
    MlflowRegistry(mlflow[0]).fetch("unsigned", "1", tmp_path / "files")
    with pytest.raises(ArtifactProblem, match="was logged without a signature"):
        open_model(tmp_path / "files")


def test_serving_goes_on_when_mlflow_is_gone(
    mlflow: tuple[str, subprocess.Popen[bytes]], serve: Callable[..., Process], artifact: Path
) -> None:
    url, process = mlflow
    registry = MlflowRegistry(url)
    registry.point("lasting", "champion", registry.publish("lasting", artifact, {}, {}))
    first = serve(url, model="lasting")
    process.terminate()
    process.wait(30)
    first.until(lambda: first.metric("metalworks_model_registry_failures") >= 2)
    assert first.ask("GET", "/recommend?user=1").json["model_version"] == "1"
    assert first.stop() == 0
    assert serve(url, model="lasting").ask("GET", "/recommend?user=1").status == 200
