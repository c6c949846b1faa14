"""The server's settings, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .rights import Rights


@dataclass(frozen=True)
class Settings:
    """Where the data lie, who vouches for users, and what they may do."""

    database: str
    artifacts: str
    door_secret: str
    clients_file: str
    rights: Rights

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read them. The first two have MLflow's own names; KeyError names one that is missing."""
        aliases = environment.get("METALWORKS_PROTECTED_ALIASES", "champion")
        return cls(
            database=environment["MLFLOW_BACKEND_STORE_URI"],
            artifacts=environment["MLFLOW_ARTIFACTS_DESTINATION"],
            door_secret=environment["METALWORKS_DOOR_SECRET"],
            clients_file=environment.get("METALWORKS_CLIENTS_FILE", ""),
            rights=Rights(
                deployers=environment.get("METALWORKS_DEPLOYERS", "deployers"),
                protected_aliases=frozenset(filter(None, (each.strip() for each in aliases.split(",")))),
            ),
        )
