"""Clients of the cluster that scenarios of applications share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ansible.module_utils
import pytest
from tests.support.scenario import CONTEXT, KUBECONFIG

from kubernetes import client, config

# What modules share is imported as Ansible imports it.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))


@pytest.fixture(scope="session")
def api() -> Iterator[client.ApiClient]:
    """The cluster's API, by the kubeconfig that shared/cluster.yml wrote."""
    with config.new_client_from_config(str(KUBECONFIG), context=CONTEXT) as connection:
        yield connection


@pytest.fixture(scope="session")
def core(api: client.ApiClient) -> client.CoreV1Api:
    """The cluster's pods, secrets, claims and nodes."""
    return client.CoreV1Api(api)
