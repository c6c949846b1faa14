"""The recommender in MLServer."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from metalworks_model.models.kinds import open_model
from metalworks_model.models.tensors import texts
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Recommender(MLModel):
    """Answers with the same files."""

    async def load(self) -> bool:
        """Open the model."""
        self.recommender = open_model(Path(os.environ["BENCHMARK_MODEL"]))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer for the users of the one input."""
        users = texts(list(payload.inputs[0].data))
        found = self.recommender.infer({"user": users}, {})
        item = found["item"]
        outputs = [
            ResponseOutput(
                name="item", datatype="BYTES", shape=list(item.shape), data=item.ravel().tolist()
            ),
            ResponseOutput(
                name="score",
                datatype="FP32",
                shape=list(found["score"].shape),
                data=found["score"].astype(np.float32).ravel().tolist(),
            ),
        ]  # fmt: skip
        return InferenceResponse(model_name=self.name, model_version="1", outputs=outputs)
