"""A small client of MLflow's REST API: registered models, their versions and aliases."""

from __future__ import annotations

from typing import Any

from ..common.json_api import ApiError as ApiError
from ..common.json_api import JsonApi

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
}
MISSING = "RESOURCE_DOES_NOT_EXIST"


class MlflowApi(JsonApi):
    """A client for one server, at its own address or behind the hub's door.

    Paths are those below /api/2.0/mlflow.
    """

    whose = "MLflow's"
    seconds = 60

    def __init__(self, url: str, token: str) -> None:
        """Remember where the server is, and the token that is sent with each request."""
        super().__init__(f"{url.rstrip('/')}/api/2.0/mlflow", {"Authorization": f"Bearer {token}"})

    def _is_missing(self, error: ApiError) -> bool:
        # The door before the server answers 404 as well.
        return error.code == MISSING
