"""Long or destructive: a lab of its own, taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running import make


@pytest.fixture
def no_lab() -> Iterator[None]:
    """Nothing of the tests' lab exists before, nothing afterwards."""
    make("down")
    yield
    make("down")
