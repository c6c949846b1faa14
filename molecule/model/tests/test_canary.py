"""A candidate with a share of the customers: promoted or taken back by itself, while people shop."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from tests.support.models import (
    MODEL,
    NAMESPACE,
    Asker,
    operate,
    pods,
    served,
    until_three_are_ready,
    with_mlflow,
)
from tests.support.scenario import CONTEXT, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

CUSTOMERS = [str(number) for number in range(12000, 12300)]
# Publishes the champion once more: as it is, with mixed up items, or so that most of its answers fail.
PUBLISH = """
import os, random, sys, tempfile
from pathlib import Path
from metalworks_model.models.artifact import load, save
from metalworks_model.models.registry import MlflowRegistry
Path("/tmp/token").write_text(os.environ["MLFLOW_TRACKING_TOKEN"])
registry = MlflowRegistry(os.environ["MLFLOW_TRACKING_URI"], "/tmp/token")
champion = registry.version_of("recommender", "champion")
folder = Path(tempfile.mkdtemp())
registry.fetch("recommender", champion, folder / "before")
card, arrays = load(folder / "before")
if sys.argv[1] == "rubbish":
    order = list(range(len(arrays["items"])))
    random.Random(0).shuffle(order)
    arrays["items"] = arrays["items"][order]
if sys.argv[1] == "failing":
    arrays["popular"] = arrays["popular"] + len(arrays["items"])
    arrays["weights"] = arrays["weights"][:, :1]
save(folder / "after", card, arrays)
print(registry.publish("recommender", folder / "after", {"data_until": card.data_until}, {}))
"""
TAGS = """
import json, mlflow, sys
registry = mlflow.MlflowClient()
version = registry.get_model_version("recommender", sys.argv[1])
folders = registry.list_artifacts(version.run_id, "canary")
files = [each.path for folder in folders for each in registry.list_artifacts(version.run_id, folder.path)]
print(json.dumps([version.tags, files]))
"""


@dataclass
class Shoppers:
    """People in the shop. Each would buy one thing: what the first champion showed on top."""

    address: str
    likes: dict[str, str]

    def shown(self, customer: str) -> list[str]:
        """Return the items on a customer's page; none where it cannot be shown."""
        page = requests.get(f"http://{self.address}/customers/{customer}", timeout=30)
        return re.findall(r'name="item" value="(\w+)"', page.text) if page.status_code == 200 else []

    def visit(self, customer: str) -> None:
        """Look, and buy what is liked if it is there."""
        if self.likes[customer] in self.shown(customer):
            form = {"kind": "bought", "item": self.likes[customer], "text": "A THING"}
            answer = requests.post(f"http://{self.address}/customers/{customer}", data=form, timeout=30,
                                   allow_redirects=False)  # fmt: skip
            assert answer.status_code == 303, answer.text

    def all_visit(self) -> None:
        """Let everybody come once."""
        with ThreadPoolExecutor(6) as several:
            list(several.map(self.visit, CUSTOMERS))


@pytest.fixture(scope="module")
def shoppers() -> Iterator[Shoppers]:
    cluster = KubernetesApi(str(KUBECONFIG), CONTEXT)
    with forwarded(cluster, NAMESPACE, "app.kubernetes.io/name=shop", 8081) as address:
        found = Shoppers(address, {})
        with ThreadPoolExecutor(6) as several:
            pages = list(several.map(found.shown, CUSTOMERS))
        assert all(pages)
        found.likes = {customer: items[0] for customer, items in zip(CUSTOMERS, pages, strict=True)}
        yield found


@pytest.fixture(autouse=True)
def no_canary_is_left(core: client.CoreV1Api) -> Iterator[None]:
    until_three_are_ready(core)
    yield
    operate("end_canary")


def publish(kind: str) -> str:
    return with_mlflow(PUBLISH, kind).split()[-1]


def loaded(asker: Asker, core: client.CoreV1Api) -> list[set[str]]:
    """The versions that each server has: the champion, and perhaps a candidate."""
    return [
        set(asker.ask(f"/v2/models/{MODEL}", host=f"{pod.status.pod_ip}:8080")[1]["versions"])
        for pod in pods(core)
    ]


def record(version: str) -> tuple[dict[str, str], list[str]]:
    """The tags of a version, and the files of its decision."""
    tags, files = json.loads(with_mlflow(TAGS, version).splitlines()[-1])
    return tags, files


def until_decided(core: client.CoreV1Api, asker: Asker, shoppers: Shoppers, version: str) -> dict[str, str]:
    """Let people shop until there is no candidate any more, and return the version's tags."""

    def is_decided() -> bool:
        shoppers.all_visit()
        return all(len(each) == 1 for each in loaded(asker, core))

    began = time.monotonic()
    wait_for(is_decided, lambda: f"nothing is decided: {loaded(asker, core)}", 400)
    print(f"version {version} was decided after {time.monotonic() - began:.0f} s")
    tags, files = record(version)
    assert [each.rpartition("/")[2] for each in sorted(files)] == ["decision.json", "decision.md"], files
    return tags


def restarts(core: client.CoreV1Api) -> dict[str, int]:
    return {pod.metadata.uid: pod.status.container_statuses[0].restart_count for pod in pods(core)}


def test_a_good_candidate_is_promoted_by_itself_and_no_request_is_lost(
    core: client.CoreV1Api, asker: Asker, shoppers: Shoppers
) -> None:
    (first,) = served(asker, core)
    before = restarts(core)
    second = publish("good")
    with asker.load() as found:
        said = operate("canary", model_canary_share=0.5, model_reason="a test").check().said
        assert f"version {second} answers 0.5 of the customers on every replica" in said
        assert loaded(asker, core) == [{first, second}] * 3
        refused = operate("canary", model_to_version=first)
        assert refused.code and f"version {second} of {MODEL} is the candidate already" in refused.said
        tags = until_decided(core, asker, shoppers, second)
    print(tags)
    assert (tags["canary_decision"], tags["champion_before"]) == ("promoted", first), tags
    assert served(asker, core) == {second}
    assert found["failures"] == []
    assert set(found["seen"]) == {first, second}
    assert min(found["seen"].values()) > 100
    assert restarts(core) == before
    # Like any other: back to what was there before.
    assert f"version {first} on 3 replicas" in operate("rollback").check().said


def test_a_candidate_that_recommends_rubbish_is_taken_back(
    core: client.CoreV1Api, asker: Asker, shoppers: Shoppers
) -> None:
    (first,) = served(asker, core)
    second = publish("rubbish")
    with asker.load() as found:
        operate("canary", model_to_version=second, model_canary_share=0.5).check()
        tags = until_decided(core, asker, shoppers, second)
    print(tags)
    assert tags["canary_decision"] == "taken back", tags
    assert "worse than the champion: hits" in tags["canary_why"]
    assert served(asker, core) == {first}
    assert found["failures"] == []


def test_a_candidate_that_fails_is_taken_back(
    core: client.CoreV1Api, asker: Asker, shoppers: Shoppers
) -> None:
    (first,) = served(asker, core)
    second = publish("failing")
    operate("canary", model_to_version=second, model_canary_share=0.2).check()
    tags = until_decided(core, asker, shoppers, second)
    print(tags)
    assert tags["canary_decision"] == "taken back", tags
    assert "worse than the champion: errors" in tags["canary_why"]
    assert served(asker, core) == {first}
    assert all(shoppers.shown(each) for each in CUSTOMERS[:30]), "everybody is served again"


def test_a_canary_is_ended_by_hand(core: client.CoreV1Api, asker: Asker) -> None:
    (first,) = served(asker, core)
    second = publish("good")
    operate("canary", model_to_version=second).check()
    assert loaded(asker, core) == [{first, second}] * 3
    operate("end_canary", model_reason="enough").check()
    assert loaded(asker, core) == [{first}] * 3
    tags, _ = record(second)
    assert "taken back by hand. enough" in tags["canary_why"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model_canary_share": 0.6}, "model_canary_share is 0.6: write a number above 0"),
        ({"model_to_version": "999"}, f"{MODEL} has no version 999"),
        ({"model_to_version": "champion's"}, "is the champion: name another one"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    core: client.CoreV1Api, asker: Asker, given: dict[str, Any], says: str
) -> None:
    (first,) = served(asker, core)
    given = {name: first if value == "champion's" else value for name, value in given.items()}
    refused = operate("canary", **given)
    assert refused.code and says in refused.said, refused.output
    assert loaded(asker, core) == [{first}] * 3
