"""The server of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.mlflow_server import Server

from kubernetes import client


@pytest.fixture(scope="session")
def server(core: client.CoreV1Api) -> Iterator[Server]:
    found = Server(core)
    yield found
    found.forget()
