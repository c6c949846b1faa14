"""What several tests of alerts are told by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.alerting import Receiver
from tests.support.servers import running


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    with running(found):
        yield found
