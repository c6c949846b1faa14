"""What the tests of a running platform share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox(api: Any, platform: dict[str, Any]) -> Iterator[Sandbox]:
    with Sandbox(api, platform["test_image"]) as namespace:
        yield namespace
