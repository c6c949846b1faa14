"""What all tests of a running platform share: which inventory, and what site.yml recorded about it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--inventory",
        default="inventories/lab",
        help="the inventory whose platform is asked (default: the lab)",
    )


def pytest_configure(config: pytest.Config) -> None:
    # testinfra's own option, so that `ansible://` hosts come from the same inventory.
    config.option.ansible_inventory = config.option.inventory


@pytest.fixture(scope="session")
def platform(pytestconfig: pytest.Config) -> dict[str, Any]:
    """The addresses and logins that playbooks/verify.yml recorded beside the inventory."""
    inventory = ROOT / pytestconfig.option.inventory
    name = os.environ.get("METALWORKS_LAB", "lab")
    directory = inventory if inventory.is_dir() else inventory.parent
    records = [directory / ".state" / name / "platform.json", *directory.glob(".state/*/platform.json")]
    for record in records:
        if record.exists():
            found: dict[str, Any] = json.loads(record.read_text())
            return found
    pytest.fail(
        f"No platform is recorded beside {directory}: run `ansible-playbook -i {inventory} site.yml` first."
    )


@pytest.fixture(scope="session")
def api(platform: dict[str, Any]) -> Iterator[Any]:
    """A client of the cluster's API, from the operator's kubeconfig."""
    from kubernetes import client, config

    configuration = client.Configuration()
    config.load_kube_config(
        config_file=platform["kubeconfig"], context=platform["context"], client_configuration=configuration
    )
    with client.ApiClient(configuration) as connection:
        yield connection
