"""Clients of the cluster that scenarios of applications share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.scenario import CONTEXT, KUBECONFIG
from tests.support.watchers import Watchers

from kubernetes import client, config


@pytest.fixture(scope="session")
def api() -> Iterator[client.ApiClient]:
    """The cluster's API, by the kubeconfig that shared/cluster.yml wrote."""
    with config.new_client_from_config(str(KUBECONFIG), context=CONTEXT) as connection:
        yield connection


@pytest.fixture(scope="session")
def core(api: client.ApiClient) -> client.CoreV1Api:
    """The cluster's pods, secrets, claims and nodes."""
    return client.CoreV1Api(api)


@pytest.fixture(scope="session")
def watchers() -> Iterator[Watchers]:
    """The cluster's Prometheus, and the receiver of its alerts."""
    found = Watchers()
    yield found
    found.forget()
