"""From a log_model in a notebook to an answer: a person who logs, and one who has the inventory."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from test_data_and_models import WORKING_TIME
from test_notebooks import CUSTOM_IMAGE
from tests.support.playbooks import play
from tests.support.waiting import wait_for
from visitor import User, Visitor

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.parts("object_store", "mlflow", "model", "door"), pytest.mark.long]

# What docs/how-to/serve-a-model.md says, with an alias that its author may set.
WORK = """\
import mlflow, pandas

class Sizes(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import humanize
        return [humanize.naturalsize(each) for each in model_input["bytes"]]

example = pandas.DataFrame({{"bytes": [1000.0]}})
mlflow.set_experiment("{name}")
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="model", python_model=Sizes(), pip_requirements=["humanize==4.17.0"],
                            signature=mlflow.models.infer_signature(example, ["1 kB"]),
                            registered_model_name="{name}")
mlflow.MlflowClient().set_registered_model_alias("{name}", "ready", "1")
print("logged")"""


def test_a_model_of_a_notebook_answers(
    new_visitor: Callable[[], Visitor],
    users: list[User],
    cluster: Any,
    platform: dict[str, Any],
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"sizes-{secrets.token_hex(3)}"
    person = new_visitor()
    lab = person.start_server(users[0], CUSTOM_IMAGE).new_notebook()
    began = time.monotonic()
    assert "logged" in lab.run(0, WORK.format(name=name), WORKING_TIME).text
    person.album.take(person.page, "logged")
    logged = time.monotonic()

    inventory = ROOT / pytestconfig.option.inventory
    serve = ROOT / "playbooks" / "model.yml"
    trained = [{"name": "recommender", "kind": "recommender"}]
    entry = {"name": name, "alias": "ready", "replicas": 1, "max_replicas": 1, "settings": {"poll_every": 1}}
    try:
        play(serve, inventory, model_models=[*trained, entry]).check()
        deployed = time.monotonic()
        with forwarded(
            cluster, platform["model_namespace"], f"app.kubernetes.io/name={name}", 8080
        ) as address:
            question = {"name": "bytes", "shape": [2], "datatype": "FP64", "data": [1000, 2500000]}

            def answer() -> Any:
                found = requests.post(
                    f"http://{address}/v2/models/{name}/infer", json={"inputs": [question]}, timeout=30
                )
                return found.json() if found.status_code == 200 else None

            found = wait_for(answer, f"{name} does not answer")
        assert found["outputs"][0]["data"] == ["1.0 kB", "2.5 MB"], json.dumps(found)
        with capsys.disabled():
            print(
                f"\nfrom log_model to the first answer: {time.monotonic() - began:.0f} s, of which log_model "
                f"{logged - began:.0f} s and playbooks/model.yml {deployed - logged:.0f} s"
            )
    finally:
        play(serve, inventory).check()
