"""The scenario's Prometheus, and the receiver of its alerts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.watchers import Watchers


@pytest.fixture(scope="session")
def watchers() -> Iterator[Watchers]:
    found = Watchers()
    yield found
    found.forget()
