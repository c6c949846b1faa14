"""The running cluster takes the objects of its inventory as files. A dry run: nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.kubernetes.manifests import Loader
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError
from tests.support.playbooks import ROOT, play

PLAYBOOK = ROOT / "playbooks" / "manifests.yml"


@pytest.fixture(scope="module")
def folder(platform: dict[str, Any], pytestconfig: pytest.Config) -> Path:
    """The files of the inventory, written anew."""
    if platform["machines"] != "lab":
        pytest.skip("what was given to site.yml beside the inventory is not known here")
    inventory = ROOT / pytestconfig.option.inventory
    play(PLAYBOOK, inventory, environment=os.environ).check()
    (found,) = inventory.glob(f".state/{platform['name']}/manifests")
    return found


def objects(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object with the name of its file, in the order of applying."""
    for path in sorted(folder.glob("*/*.yaml")):
        for each in yaml.load_all(path.read_text(), Loader):
            yield str(path.relative_to(folder)), each


def refusal(cluster: DynamicClient, each: dict[str, Any]) -> str:
    """Why the API server would not take an object, or nothing."""
    try:
        kind = cluster.resources.get(api_version=each["apiVersion"], kind=each["kind"])
        cluster.server_side_apply(
            kind, body=each, field_manager="manifests", force_conflicts=True, dry_run="All"
        )
    except DynamicApiError as error:
        return f"{error.status} {error.body!r}"[:1000]
    return ""


def test_the_cluster_takes_each_object(api: Any, platform: dict[str, Any], folder: Path) -> None:
    cluster = DynamicClient(api)
    found = list(objects(folder))
    assert {name.split("/")[0] for name, _ in found} == set(platform["parts"])
    refused = {
        f"{name}: {each['kind']} {each['metadata']['name']}": said
        for name, each in found
        if (said := refusal(cluster, each))
    }
    assert refused == {}


def test_a_fault_is_refused(api: Any, folder: Path) -> None:
    """The dry run itself: the API server judges more than the form."""
    cluster = DynamicClient(api)
    found = next(each for _, each in objects(folder) if each["kind"] == "Deployment")
    assert "field not declared" in refusal(cluster, {**found, "spec": {**found["spec"], "replica": 3}})
    another = {**found["spec"], "selector": {"matchLabels": {"another": "label"}}}
    assert "`selector` does not match" in refusal(cluster, {**found, "spec": another})
