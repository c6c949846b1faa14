"""Models that MLflow saved: what they take and give, and which environment they are let into."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from metalworks_model.models.artifact import ArtifactProblem
from metalworks_model.models.pyfunc import OtherEnvironment, Pyfunc, check_environment
from metalworks_model.models.tensors import BadInput, texts
from metalworks_model.serve import oip

# MLflow warns of much, and none of it is about this.
pytestmark = pytest.mark.filterwarnings("ignore")
Predict = Callable[[Any, Any], Any]


def opened_again(folder: Path) -> Pyfunc:
    """Open a model in the image that was built for it."""
    return Pyfunc(folder, (folder / "requirements.txt").read_text())


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Pyfunc]:
    """Save a function as a model, and open it as a server does."""
    import mlflow

    def opened(predict: Predict, example: Any, gives: Any = None, params: Any = None) -> Pyfunc:
        class Model(mlflow.pyfunc.PythonModel):
            # MLflow takes a hint of a type for the signature.
            def predict(self, context, model_input, params=None):
                return predict(model_input, params)

        signature = mlflow.models.infer_signature(example, gives, params)
        folder = tmp_path / "model"
        mlflow.pyfunc.save_model(
            folder, python_model=Model(), signature=signature, pip_requirements=["numpy==2"]
        )
        return opened_again(folder)

    return opened


def answers(model: Pyfunc, inputs: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return the outputs of an answer as lists, after the whole way through the protocol."""
    arrays = model.infer(inputs, parameters)
    request = oip.InferRequest([])
    oip.answer(request, model, "m", "1", arrays, oip.wanted_outputs(request, model))
    return {name: array.tolist() for name, array in arrays.items()}


def test_a_table_becomes_several_outputs(save: Callable[..., Pyfunc]) -> None:
    def predict(table: Any, params: Any) -> Any:
        return pd.DataFrame({"label": table["text"].str.upper(), "size": table["text"].str.len()})

    example = pd.DataFrame({"text": ["a"]})
    model = save(predict, example, pd.DataFrame({"label": ["A"], "size": [1]}))
    assert [(each.name, each.datatype) for each in model.inputs] == [("text", "BYTES")]
    assert answers(model, {"text": texts(["ab", "c"])}) == {"label": ["AB", "C"], "size": [2, 1]}


def test_one_column_without_a_name_is_a_list(tmp_path: Path) -> None:
    import mlflow

    class Twice(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[float]) -> list[float]:
            return [each * 2 for each in model_input]

    mlflow.pyfunc.save_model(tmp_path / "model", python_model=Twice(), pip_requirements=["numpy==2"])
    model = opened_again(tmp_path / "model")
    assert [(each.name, each.datatype) for each in model.inputs] == [("input", "FP64")]
    assert answers(model, {"input": np.array([1.0, 2.5])}) == {"output": [2.0, 5.0]}


def test_tensors_go_through(save: Callable[..., Pyfunc]) -> None:
    model = save(lambda array, params: array.sum(axis=1), np.ones((1, 3), np.float32))
    assert [(each.datatype, each.shape) for each in model.inputs] == [("FP32", (-1, 3))]
    assert answers(model, {"input": np.ones((2, 3), np.float32)}) == {"output": [3.0, 3.0]}


def test_parameters_of_the_signature_reach_the_model_and_no_others(save: Callable[..., Pyfunc]) -> None:
    def predict(table: Any, params: Any) -> Any:
        return table["x"] * params["factor"]

    model = save(predict, pd.DataFrame({"x": [1.0]}), None, {"factor": 2.0})
    assert answers(model, {"x": np.array([3.0])}, explain=False) == {"output": [6.0]}
    assert answers(model, {"x": np.array([3.0])}, factor=5.0) == {"output": [15.0]}
    with pytest.raises(BadInput):
        answers(model, {"x": np.array([3.0])}, factor="much")


def test_a_number_alone_is_an_output(save: Callable[..., Pyfunc]) -> None:
    assert answers(save(lambda table, params: 7, pd.DataFrame({"x": [1.0]})), {"x": np.array([1.0])}) == {
        "output": [7]
    }


def test_an_output_that_the_signature_promises_is_missed(save: Callable[..., Pyfunc]) -> None:
    gives = pd.DataFrame({"a": [1.0], "b": [1.0]})
    model = save(lambda table, params: pd.DataFrame({"a": table["x"]}), pd.DataFrame({"x": [1.0]}), gives)
    with pytest.raises(ValueError, match="it gave no b, which its signature promises"):
        answers(model, {"x": np.array([1.0])})


def promised(model: Pyfunc) -> list[tuple[str, str, list[int]]]:
    """Return the outputs that the metadata have."""
    outputs = oip.metadata(model, "m", ["1"])["outputs"]
    return [(each["name"], each["datatype"], each["shape"]) for each in outputs]


def test_the_types_of_outputs_are_those_of_the_signature(save: Callable[..., Pyfunc]) -> None:
    def predict(table: Any, params: Any) -> Any:
        return pd.DataFrame({"text": table["x"], "half": table["x"] / 2, "size": table["x"] * 2})

    gives = pd.DataFrame({"text": ["a"], "half": np.ones(1, np.float32), "size": [1]})
    model = save(predict, pd.DataFrame({"x": [1.5]}), gives)
    assert promised(model) == [("text", "BYTES", [-1]), ("half", "FP32", [-1]), ("size", "INT64", [-1])]
    arrays = model.infer({"x": np.array([1.25])}, {})
    # The fraction of the last one is worth more than what the signature says of it.
    assert {name: oip.datatype(each) for name, each in arrays.items()} == {
        "text": "BYTES",
        "half": "FP32",
        "size": "FP64",
    }
    assert answers(model, {"x": np.array([1.25])}) == {"text": ["1.25"], "half": [0.625], "size": [2.5]}


def test_the_shape_and_type_of_a_tensor_are_promised(save: Callable[..., Pyfunc]) -> None:
    rows = np.ones((1, 3), np.float32)
    assert promised(save(lambda array, params: array, rows, rows)) == [("output", "FP32", [-1, 3])]


def test_a_model_that_promises_no_output_has_none_in_its_metadata(save: Callable[..., Pyfunc]) -> None:
    model = save(lambda table, params: table["x"], pd.DataFrame({"x": [1.0]}))
    assert promised(model) == []
    assert answers(model, {"x": np.array([1.0])}) == {"output": [1.0]}


RECORDED = "mlflow==3.17.2\nhumanize==4.17.0\n"


@pytest.mark.parametrize(
    ("requirements", "python", "says"),
    [
        (RECORDED, "3.11.2", ""),
        ("# in another order\nhumanize==4.17.0  # sizes\n\nmlflow==3.17.2", "3.11.9", ""),
        ("", "3.11.2", "this image has no environment"),
        ("mlflow==3.17.2", "3.11.2", "it needs humanize==4.17.0, which this image does not have"),
        ("mlflow==3.17.2\nhumanize==4.9.0", "3.11.2", "it needs humanize==4.17.0"),
        (f"{RECORDED}a==1", "3.11.2", "this image has a==1, which it does not ask for"),
        (RECORDED, "3.13.5", "it was logged with Python 3.13, and this image has 3.11"),
    ],
)
def test_only_the_recorded_environment_is_let_in(
    tmp_path: Path, requirements: str, python: str, says: str
) -> None:
    (tmp_path / "requirements.txt").write_text(RECORDED)
    (tmp_path / "python_env.yaml").write_text(f"python: {python}\ndependencies: []\n")
    # Nothing of it may be run before: this is no model that could be loaded.
    (tmp_path / "MLmodel").write_text("")
    if not says:
        check_environment(tmp_path, requirements)
        return
    with pytest.raises(OtherEnvironment, match=says):
        Pyfunc(tmp_path, requirements)


def test_a_version_without_a_recorded_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactProblem, match="MLflow recorded no environment"):
        check_environment(tmp_path, "a==1")


def test_a_library_that_cannot_be_imported_is_a_problem_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("a==1")
    (tmp_path / "python_env.yaml").write_text("")
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    with pytest.raises(ArtifactProblem, match="MLflow cannot load"):
        Pyfunc(tmp_path, "a==1")
