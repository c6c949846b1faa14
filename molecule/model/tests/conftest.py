"""A pod of somebody who asks the models, and a customer."""

from __future__ import annotations

import pytest
from tests.support.models import Asker, let_in

from kubernetes import client


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
