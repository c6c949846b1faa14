"""A pod of somebody who asks the models, and a customer."""

from __future__ import annotations

import pytest
from tests.support.models import Asker, asking_pod
from tests.support.waiting import wait_for

from kubernetes import client


def let_in(core: client.CoreV1Api, name: str = "") -> Asker:
    """Run a pod that may ask the models, and wait until it can. A policy lets a new pod in seconds later."""
    found = asking_pod(core, "people", {"asks": "models"}, name)
    wait_for(lambda: found.ask("/v2/health/ready")[0] == 200, "the models do not answer", 120)
    return found


@pytest.fixture(scope="session")
def asker(core: client.CoreV1Api) -> Asker:
    return let_in(core)


@pytest.fixture
def doomed_asker(core: client.CoreV1Api) -> Asker:
    """Who has requests lost. The kernel remembers connections to servers that ended without a word.

    It leads a new connection from the same port of this pod to the lost server. Other pods are not concerned.
    """
    return let_in(core, "asks-what-is-lost")


@pytest.fixture(scope="session")
def user(asker: Asker) -> str:
    """A customer with a history."""
    _, found = asker.ask("/customers?count=1")
    return str(found["customers"][0]["user"])
