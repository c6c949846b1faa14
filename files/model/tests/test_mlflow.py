"""The registry in a real MLflow server, and a model that somebody else logged there.

METALWORKS_MLFLOW_PYTHON names an interpreter that has MLflow's server (files/mlflow/requirements.txt).
"""

from __future__ import annotations

import importlib.metadata
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
from metalworks_model.settings import Settings
from metalworks_model.watch.canary import Canary
from metalworks_model.watch.run import Series

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
                            registered_model_name="{name}", pip_requirements={requirements})
client = mlflow.MlflowClient()
newest = max(int(each.version) for each in client.search_model_versions("name='{name}'"))
client.set_registered_model_alias("{name}", "champion", str(newest))
"""

# MLflow adds itself to what a notebook names.
ITSELF = f"mlflow=={importlib.metadata.version('mlflow-skinny')}"


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


def test_a_canary_is_decided_and_on_record(
    mlflow: tuple[str, subprocess.Popen[bytes]], serve: Callable[..., Process], artifact: Path, tmp_path: Path
) -> None:
    url, registry = mlflow[0], MlflowRegistry(mlflow[0])
    first = registry.publish("wares", artifact, {}, {})
    registry.point("wares", "champion", first)
    server = serve(url, model="wares")
    settings = Settings.read(
        {}, data_url=f"file://{tmp_path}/data", registry_url=url, model="wares", canary_least=20,
        canary_error_margin=0.3, canary_slow_margin=0.5, servers_url=f"http://127.0.0.1:{server.port}",
    )  # fmt: skip
    second = registry.publish("wares", artifact, {"canary_share": "0.5", "canary_since": "now"}, {})
    registry.point("wares", "candidate", second)
    server.until(lambda: server.ask("GET", f"/v2/models/wares/versions/{second}/ready").status == 200)
    watch = Canary(settings, Series())
    assert f"Version {second} answers 50%" in watch.look(1_000_000.0)
    for each in range(200):
        assert server.ask("GET", f"/recommend?user={each}").status == 200
    assert f"version {second} is promoted" in watch.look(1_000_060.0)
    assert registry.version_of("wares", "champion") == second
    with pytest.raises(NotThere):
        registry.version_of("wares", "candidate")
    tags = registry.tags("wares", second)
    assert (tags["champion_before"], tags["canary_decision"]) == (first, "promoted")
    assert "Answers with an error: candidate 0 of " in tags["canary_why"]
    import mlflow as client

    run = client.MlflowClient(url).get_model_version("wares", second).run_id
    page = client.MlflowClient(url).download_artifacts(run, "canary/1970-01-12T134740Z/decision.md", tmp_path)
    assert Path(page).read_text().startswith(f"# Canary: version {second} promoted")
    server.until(lambda: server.ask("GET", "/recommend?user=1").json["model_version"] == second)


def notebook(url: str, name: str, signed: bool, requirements: tuple[str, ...] = ("numpy==2",)) -> None:
    """Log a model, as somebody would in a notebook, and make its version the champion."""
    code = NOTEBOOK.format(url=url, name=name, signed=signed, requirements=list(requirements))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_model_that_a_notebook_logged_is_served(
    mlflow: tuple[str, subprocess.Popen[bytes]], serve: Callable[..., Process]
) -> None:
    notebook(mlflow[0], "doubler", signed=True)
    server = serve(mlflow[0], model="doubler", requirements=f"# recorded\nnumpy==2\n{ITSELF}")
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
    shorter = [inputs[0], {**inputs[1], "shape": [1], "data": [1.0]}]
    refused = server.ask("POST", "/v2/models/doubler/infer", {"inputs": shorter})
    assert (refused.status, "have different lengths" in refused.json["error"]) == (400, True)


def test_a_version_that_needs_other_libraries_is_refused_and_the_one_before_stays(
    mlflow: tuple[str, subprocess.Popen[bytes]], serve: Callable[..., Process], tmp_path: Path
) -> None:
    notebook(mlflow[0], "growing", signed=True)
    given = {"model": "growing", "requirements": f"numpy==2\n{ITSELF}", "fallback_version": "1"}
    server = serve(mlflow[0], **given)
    assert server.metric("metalworks_model_refused") == 0
    notebook(mlflow[0], "growing", signed=True)
    server.until(lambda: server.ask("GET", "/v2/models/growing/ready").json["version"] == "2")

    notebook(mlflow[0], "growing", signed=True, requirements=("numpy==2", "humanize==4.17.0"))
    server.until(lambda: server.metric("metalworks_model_refused") == 1)
    ready = server.ask("GET", "/v2/models/growing/ready").json
    assert ready["version"] == "2"
    assert ready["problem"] == (
        "version 3 of growing: it needs humanize==4.17.0, which this image does not have: "
        "run playbooks/model.yml, which builds the image that it needs"
    )
    server.until(lambda: server.metric("metalworks_model_registry_failures") >= 3)
    assert server.log.read_text().count("it needs humanize==4.17.0") == 1

    # A new server, which has nothing in its cache, serves what its image was built for.
    new = serve(mlflow[0], **given, cache_dir=tmp_path / "empty")
    assert new.ask("GET", "/v2/models/growing/ready").json["version"] == "1"
    # And one of the image for the new version serves that.
    other = serve(
        mlflow[0],
        model="growing",
        requirements=f"humanize==4.17.0\n{ITSELF}\nnumpy==2",
        cache_dir=tmp_path / "c",
    )
    assert other.ask("GET", "/v2/models/growing/ready").json["version"] == "3"

    # The platform's own image says what to do, and runs nothing.
    own = serve(mlflow[0], wait=False, model="growing", cache_dir=tmp_path / "own")
    own.until(lambda: "this image has no environment" in own.ask("GET", "/v2/health/ready").json["error"])


def test_a_model_without_a_signature_is_refused(
    mlflow: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    notebook(mlflow[0], "unsigned", signed=False)
    MlflowRegistry(mlflow[0]).fetch("unsigned", "1", tmp_path / "files")
    with pytest.raises(ArtifactProblem, match="was logged without a signature"):
        open_model(tmp_path / "files", f"numpy==2\n{ITSELF}")


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
