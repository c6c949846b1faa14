"""A model that somebody logged with MLflow, whatever its kind, served as it is.

It runs in an image with the environment that MLflow recorded with it. MLflow and the model's libraries are
imported only where such a model is served; and its code runs only if the image has what it needs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .artifact import ArtifactProblem, Card
from .tensors import Array, BadInput, Tensor

# MLflow's types of columns and tensors, and those of the Open Inference Protocol.
TYPES = {
    **dict.fromkeys(("boolean", "bool"), "BOOL"),
    **dict.fromkeys(("integer", "int32"), "INT32"),
    **dict.fromkeys(("long", "int64"), "INT64"),
    **dict.fromkeys(("float", "float32"), "FP32"),
    **dict.fromkeys(("double", "float64"), "FP64"),
    **dict.fromkeys(("string", "object", "str"), "BYTES"),
}
DTYPES = {"BOOL": "?", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}
OUTPUT = "output"


class OtherEnvironment(ArtifactProblem):
    """A version that needs libraries, or a Python, that this image does not have."""


def lines(requirements: str) -> set[str]:
    """Return the lines of a requirements.txt that say something."""
    found = (line.partition(" #")[0].strip() for line in requirements.splitlines())
    return {line for line in found if line and not line.startswith("#")}


def check_environment(folder: Path, requirements: str) -> None:
    """Compare what MLflow recorded with a version to what the image was built with.

    OtherEnvironment says what differs. Nothing of the model is imported.
    """
    advice = "run playbooks/model.yml, which builds the image that it needs"
    if not requirements:
        raise OtherEnvironment(f"this image has no environment of a model of MLflow: {advice}")
    try:
        recorded = lines((folder / "requirements.txt").read_text())
        python = (folder / "python_env.yaml").read_text()
    except OSError as problem:
        raise ArtifactProblem(f"MLflow recorded no environment: {problem}") from None
    have = lines(requirements)
    if missing := sorted(recorded - have):
        raise OtherEnvironment(f"it needs {', '.join(missing)}, which this image does not have: {advice}")
    if extra := sorted(have - recorded):
        raise OtherEnvironment(f"this image has {', '.join(extra)}, which it does not ask for: {advice}")
    version = re.search(r"^python:\s*['\"]?(\d+\.\d+)", python, re.MULTILINE)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version and version[1] != ours:
        raise OtherEnvironment(f"it was logged with Python {version[1]}, and this image has {ours}")


class Pyfunc:
    """A model with a signature of named columns, of one column without a name, or of tensors."""

    slow = True

    def __init__(self, folder: Path, requirements: str) -> None:
        """Load it in an image that was built with `requirements`.

        ArtifactProblem if it has no signature: its inputs would be a guess. OtherEnvironment if it needs
        another image.
        """
        check_environment(folder, requirements)
        try:
            import mlflow.pyfunc

            self.model = mlflow.pyfunc.load_model(str(folder))
        except (Exception, SystemExit) as problem:  # whatever the model's own code raises
            raise ArtifactProblem(f"MLflow cannot load {folder}: {problem}") from problem
        signature = self.model.metadata.signature
        if signature is None or signature.inputs is None:
            raise ArtifactProblem(
                f"{folder} was logged without a signature: give log_model an input_example, or a signature"
            )
        self.card = Card(kind="pyfunc")
        self.columns = not signature.inputs.is_tensor_spec()
        self.named = bool(signature.inputs.has_input_names())
        self.optional = {each.name for each in signature.inputs.inputs if not getattr(each, "required", True)}
        self.parameters = {each.name for each in (signature.params.params if signature.params else ())}
        self.inputs = tuple(self._described(each) for each in signature.inputs.inputs)
        self.outputs = _promised(signature.outputs)

    def _described(self, column: Any) -> Tensor:
        name = _type(column)
        if name not in TYPES:
            raise ArtifactProblem(
                f"the input {column.name or 'input'} has the type {name}, which cannot be served: give "
                "log_model an input_example with columns of numbers, of text, or of true and false"
            )
        shape = (-1,) if self.columns else tuple(column.shape)
        return Tensor(column.name or "input", TYPES[name], shape)

    def _given(self, inputs: Mapping[str, Array]) -> Any:
        """Return what the model takes: a data frame, a list, an array, or arrays by name."""
        for each in self.inputs:
            if each.name not in inputs and each.name not in self.optional:
                raise BadInput(f"the input {each.name} is missing")
        if not self.columns:
            return dict(inputs) if self.named else inputs[self.inputs[0].name]
        columns = {name: array.ravel() for name, array in inputs.items()}
        if not self.named:
            return columns[self.inputs[0].name].tolist()
        if len({len(each) for each in columns.values()}) > 1:
            raise BadInput("the inputs are columns of one table, and have different lengths")
        import pandas

        return pandas.DataFrame(columns)

    def infer(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """Predict. BadInput if the inputs are not what the signature says."""
        from mlflow.exceptions import MlflowException

        given = self._given(inputs)
        chosen = {name: value for name, value in parameters.items() if name in self.parameters}
        try:
            found = self.model.predict(given, params=chosen or None)
        except MlflowException as problem:
            # MLflow compares inputs with the signature before the model sees them.
            raise BadInput(problem.message) from None
        return self._outputs(found)

    def _outputs(self, found: Any) -> dict[str, Array]:
        """Return a prediction as arrays by the names of the outputs."""
        names = [each.name for each in self.outputs]
        if hasattr(found, "columns") or isinstance(found, Mapping):
            if missing := [name for name in names if name not in found]:
                raise ValueError(f"it gave no {', '.join(missing)}, which its signature promises")
            return {each.name: _array(found[each.name], each.datatype) for each in self.outputs}
        if len(names) > 1:
            raise ValueError(f"it gave one array, and its signature promises {', '.join(names)}")
        return {names[0]: _array(found, self.outputs[0].datatype)}


def _type(column: Any) -> str:
    """Return MLflow's name of the type of a column or tensor."""
    return str(getattr(column.type, "name", column.type)).lower()


def _promised(given: Any) -> tuple[Tensor, ...]:
    """Return the outputs of a signature. A type is empty where it is not known, or none of the protocol."""
    if not given:
        return (Tensor(OUTPUT, "", (-1,)),)
    return tuple(
        Tensor(
            str(each.name or OUTPUT),
            TYPES.get(_type(each), ""),
            tuple(each.shape) if given.is_tensor_spec() else (-1,),
        )
        for each in given.inputs
    )


def _array(values: Any, promised: str) -> Array:
    """Return values as an array of a type that the protocol has, as promised where none is lost by it.

    Text, and what has no type, is text.
    """
    found = np.atleast_1d(values)
    if found.dtype.kind in "biuf" and found.dtype.itemsize <= 8 and promised != "BYTES":
        if promised and np.can_cast(found.dtype, DTYPES[promised], "same_kind"):
            return found.astype(DTYPES[promised])
        return found
    texts = np.empty(found.shape, object)
    texts.ravel()[:] = [str(each) for each in found.ravel().tolist()]
    return texts
