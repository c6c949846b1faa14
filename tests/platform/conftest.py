"""Hooks for the tests of a running platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.monitoring.prometheus import Prometheus
from sandbox import Sandbox

from kubernetes import client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say why no machine is looked at, where an inventory is a cluster without machines."""
    for item in items:
        asks_a_machine = "_testinfra_host" in getattr(item, "fixturenames", ())
        if asks_a_machine and any(mark.name == "skip" for mark in item.iter_markers()):
            reason = "the inventory lists no machine, and the cluster's own are not touched"
            item.add_marker(pytest.mark.skip(reason=reason), append=False)


@pytest.fixture(scope="module")
def core(api: Any) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture
def prometheus(cluster: Any, platform: dict[str, Any]) -> Iterator[str]:
    """Where Prometheus listens, as host:port."""
    namespace = platform["monitoring_namespace"]
    with forwarded(cluster, namespace, Prometheus.selector, Prometheus.port) as address:
        yield address


@pytest.fixture(scope="module")
def sandbox(api: Any, platform: dict[str, Any]) -> Iterator[Sandbox]:
    with Sandbox(api, platform) as namespace:
        yield namespace
