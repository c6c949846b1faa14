"""The server's settings, from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .rights import Rights


def with_driver(url: str) -> str:
    """Return the address of a database with the driver of the image; SQLAlchemy 2.1 has another default."""
    return re.sub(r"^postgresql:", "postgresql+psycopg2:", url)


@dataclass(frozen=True)
class Settings:
    """Where the data lie, who vouches for users, and what they may do."""

    database: str
    database_copied: str
    artifacts: str
    door_secret: str
    clients_file: str
    rights: Rights

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read them. The first two have MLflow's own names; KeyError names one that is missing."""
        aliases = environment.get("METALWORKS_PROTECTED_ALIASES", "champion")
        return cls(
            database=with_driver(environment["MLFLOW_BACKEND_STORE_URI"]),
            database_copied=environment.get("METALWORKS_DATABASE_COPIED", ""),
            artifacts=environment["MLFLOW_ARTIFACTS_DESTINATION"],
            door_secret=environment["METALWORKS_DOOR_SECRET"],
            clients_file=environment.get("METALWORKS_CLIENTS_FILE", ""),
            rights=Rights(
                deployers=environment.get("METALWORKS_DEPLOYERS", "deployers"),
                protected_aliases=frozenset(filter(None, (each.strip() for each in aliases.split(",")))),
            ),
        )
