"""The recommender in BentoML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
from metalworks_model.models.kinds import open_model
from metalworks_model.models.tensors import texts


@bentoml.service(workers=1)
class Recommender:
    """Answers with the same files."""

    def __init__(self) -> None:
        """Open the model."""
        self.recommender = open_model(Path(os.environ["BENCHMARK_MODEL"]))

    @bentoml.api
    def infer(self, users: list[str]) -> dict[str, Any]:
        """Answer for users."""
        found = self.recommender.infer({"user": texts(users)}, {})
        return {"item": found["item"].tolist(), "score": found["score"].tolist()}
