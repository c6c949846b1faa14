"""A pod of somebody who asks the models, and a customer."""

from __future__ import annotations

import pytest
from tests.support.models import Asker, asking_pod
from tests.support.waiting import wait_for

from kubernetes import client


@pytest.fixture(scope="session")
def asker(core: client.CoreV1Api) -> Asker:
    found = asking_pod(core, "people", {"asks": "models"})
    # A policy lets a new pod in some seconds later.
    wait_for(lambda: found.ask("/v2/health/ready")[0] == 200, "the models do not answer", 120)
    return found


@pytest.fixture(scope="session")
def user(asker: Asker) -> str:
    """A customer with a history."""
    _, found = asker.ask("/customers?count=1")
    return str(found["customers"][0]["user"])
