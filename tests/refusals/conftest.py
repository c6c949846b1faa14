"""Two machines for the refusals that depend on the state of machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playing import SHARED, Machine, play


@pytest.fixture(scope="session")
def inventory() -> Path:
    return SHARED / "inventory" / "two_machines.yml"


@pytest.fixture(scope="session")
def machines(inventory: Path) -> Iterator[dict[str, Machine]]:
    made = play(SHARED / "create.yml", inventory)
    try:
        assert made.code == 0, made.said
        yield {name: Machine(name) for name in ("server-1", "agent-1")}
    finally:
        removed = play(SHARED / "destroy.yml", inventory)
    assert removed.code == 0, removed.said
