"""Long or destructive tests run in a lab of their own, which is removed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running import make


@pytest.fixture
def no_lab() -> Iterator[None]:
    """Remove the tests' lab before and after the tests."""
    make("down")
    yield
    make("down")
