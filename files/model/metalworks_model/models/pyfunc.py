"""A model that somebody logged with MLflow, whatever its kind, served as it is.

It runs in the environment that MLflow recorded with it; so this module is imported only where such a model is
served, and MLflow with it.
"""

from __future__ import annotations

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


class Pyfunc:
    """A model with a signature of named columns, or of one tensor."""

    slow = True

    def __init__(self, folder: Path) -> None:
        """Load it. ArtifactProblem if it has no signature: its inputs would be a guess."""
        import mlflow.pyfunc

        try:
            self.model = mlflow.pyfunc.load_model(str(folder))
        except Exception as problem:  # whatever the model's own code raises
            raise ArtifactProblem(f"MLflow cannot load {folder}: {problem}") from problem
        signature = self.model.metadata.signature
        if signature is None:
            raise ArtifactProblem(
                f"{folder} was logged without a signature: give log_model an input_example, or a signature"
            )
        self.card = Card(kind="pyfunc")
        self.columns = not signature.inputs.is_tensor_spec()
        self.inputs = tuple(self._described(each) for each in signature.inputs.inputs)
        self.outputs: tuple[Tensor, ...] = (Tensor("output", "", (-1,)),)

    def _described(self, column: Any) -> Tensor:
        name = str(getattr(column.type, "name", column.type)).lower()
        if name not in TYPES:
            raise ArtifactProblem(f"the input {column.name} has the type {name}, which cannot be served")
        shape = (-1,) if self.columns else tuple(column.shape)
        return Tensor(column.name or "input", TYPES[name], shape)

    def infer(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """Predict. Columns go to the model as a data frame, a tensor as an array."""
        missing = [each.name for each in self.inputs if each.name not in inputs]
        if missing:
            raise BadInput(f"the input {missing[0]} is missing")
        if self.columns:
            import pandas

            given: Any = pandas.DataFrame({name: array.ravel() for name, array in inputs.items()})
        else:
            given = inputs[self.inputs[0].name]
        found = np.asarray(self.model.predict(given))
        if found.dtype.kind in "US":
            found = found.astype(object)
        return {"output": found}
