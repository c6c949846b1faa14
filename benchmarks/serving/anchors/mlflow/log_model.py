"""Write the recommender as a model of MLflow: log_model.py FOLDER."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np


class Recommender(mlflow.pyfunc.PythonModel):
    """Answers with the same files."""

    def load_context(self, context: Any) -> None:
        """Open the model."""
        from metalworks_model.models.kinds import open_model

        self.recommender = open_model(Path(os.environ["BENCHMARK_MODEL"]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> dict[str, Any]:
        """Answer for users."""
        from metalworks_model.models.tensors import texts

        users = [str(each) for each in np.asarray(model_input["user"]).ravel().tolist()]
        found = self.recommender.infer({"user": texts(users)}, {})
        return {"item": found["item"].tolist(), "score": found["score"].tolist()}


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=Recommender(), pip_requirements=[])
