"""The objects of an inventory as files: whole, in the form that Kubernetes demands, and without a secret."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.kubernetes.manifests import CLUSTER_WIDE, Loader
from tests.support.playbooks import ROOT, play
from tests.support.schema import problems

PLAYBOOK = ROOT / "playbooks" / "manifests.yml"
PARTS = {"jupyterhub", "object_store", "mlflow", "monitoring", "logging", "model", "door"}
PULL_PASSWORD = "pull-password-of-a-robot"
REGISTRY = {"address": "registry.example:5000", "username": "robot", "password": PULL_PASSWORD}
# What an operator writes: a secret in a value of a chart, and one in the address of a receiver.
GIVEN_PASSWORD = "given-password-of-an-operator"
GIVEN: dict[str, Any] = {
    "jupyterhub_values": {"hub": {"config": {"GenericOAuthenticator": {"client_secret": GIVEN_PASSWORD}}}}
}
INVENTORIES: dict[str, dict[str, Any]] = {
    "lab": {},
    "metal": {},
    "existing": {"metalworks_registry": REGISTRY},
}


@dataclass(frozen=True)
class Written:
    """What one run wrote."""

    state: Path

    @property
    def folder(self) -> Path:
        """The folder with the files."""
        return self.state / "manifests"

    def texts(self) -> dict[str, str]:
        """The text of each file, by its name in the folder."""
        return {
            str(path.relative_to(self.folder)): path.read_text() for path in sorted(self.folder.glob("*/*"))
        }

    def objects(self) -> Iterator[dict[str, Any]]:
        """All objects, in the order in which they are applied."""
        for text in self.texts().values():
            yield from yaml.load_all(text, Loader)

    def secrets(self) -> Iterator[str]:
        """The secrets that were made for the inventory, each as it is kept."""
        for path in sorted((self.state / "secrets").iterdir()):
            yield path.read_text().strip()


@pytest.fixture(scope="module", params=INVENTORIES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The files of an inventory, whose example addresses are replaced where it has some."""
    folder = tmp_path_factory.mktemp(request.param)
    inventory = shutil.copytree(
        ROOT / "inventories" / request.param, folder / "mine", ignore=shutil.ignore_patterns(".state")
    )
    hosts = inventory / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("192.0.2.", "198.18.0."))
    state = folder / "state"
    variables: dict[str, Any] = {"metalworks_state_dir": str(state), "metalworks_artifact_source": "build"}
    # The charts of the lab are taken for those of any machines.
    variables["metalworks_rehearsal"] = request.param != "lab"
    # No cluster is there to be asked.
    variables["metalworks_kubeconfig"] = str(folder / "no-kubeconfig")
    play(PLAYBOOK, inventory, **variables, **GIVEN, **INVENTORIES[request.param]).check()
    return Written(state)


def test_each_part_has_its_folder_and_no_file_is_left_empty(written: Written) -> None:
    names = [name.split("/") for name in written.texts()]
    assert {part for part, _ in names} == PARTS
    assert {part for part, name in names if name == "0-namespace.yaml"} == PARTS
    kinds = [each["kind"] for each in written.objects()]
    assert kinds.count("Deployment") >= 9
    assert {"CronJob", "HorizontalPodAutoscaler", "NetworkPolicy", "Prometheus", "DaemonSet"} <= {*kinds}


def test_kubernetes_would_take_the_form_of_each_object(written: Written) -> None:
    found = list(written.objects())
    definitions = {
        each["spec"]["names"]["kind"]: each for each in found if each["kind"] == "CustomResourceDefinition"
    }
    assert {"Prometheus", "ServiceMonitor", "PrometheusRule"} <= definitions.keys()
    said = {f"{each['metadata']['name']}: {said}" for each in found for said in problems(each, definitions)}
    assert said == set()


def test_every_object_says_where_it_belongs_and_no_two_are_one(written: Written) -> None:
    found = [each for each in written.objects() if each["kind"] != "Namespace"]
    namespaces = {each["metadata"]["name"] for each in written.objects() if each["kind"] == "Namespace"}
    homeless = [each["metadata"]["name"] for each in found if not each["metadata"].get("namespace")]
    assert [name for name in homeless if name not in cluster_wide(found)] == []
    assert {each["metadata"].get("namespace", "default") for each in found} <= {*namespaces, "default"}
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in found]
    # The login of a registry is made by the hub's chart, and the door in the same namespace reads it. The two
    # releases of logging have one namespace and read one login. Each file says what has to be filled in.
    twice = {key for key in keys if keys.count(key) > 1}
    assert twice <= {
        ("Secret", "jupyterhub", "image-pull-secret"),
        ("Secret", "logging", "metalworks-registry"),
    }


def cluster_wide(objects: list[dict[str, Any]]) -> set[str]:
    """The names of objects that have no namespace."""
    return {each["metadata"]["name"] for each in objects if each["kind"] in CLUSTER_WIDE}


def test_no_secret_is_in_any_file(written: Written) -> None:
    secrets = [*written.secrets(), PULL_PASSWORD, GIVEN_PASSWORD]
    assert len(secrets) > 12
    assert min(map(len, secrets)) >= 20
    found = [name for name, text in written.texts().items() if any(secret in text for secret in secrets)]
    assert found == []
    for each in written.objects():
        if each["kind"] == "Secret":
            assert "data" not in each
            assert all("to be filled in" in v.replace("-", " ") for v in each["stringData"].values())


def test_each_secret_that_a_pod_needs_is_there_to_be_filled_in(written: Written) -> None:
    names = {each["metadata"]["name"] for each in written.objects() if each["kind"] == "Secret"}
    assert {"hub", "door", "mlflow", "model-registry", "object-store", "logs-logins"} <= names
    assert {"hub-measurements", "object-store-credentials"} <= names


# The judge of the form itself: it finds each fault.

POD = {"containers": [{"name": "web", "image": "web"}]}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD},
    },
}
MONITOR = {
    "spec": {
        "names": {"kind": "Monitor"},
        "versions": [
            {"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"required": ["port"]}}}}}
        ],
    }
}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, ""),
        ({"replicas": "3"}, "Deployment.spec.replicas is '3', and not of the type int"),
        ({"replicas": True}, "Deployment.spec.replicas is True, and not of the type int"),
        ({"replica": 3}, "Deployment.spec.replica is unknown"),
        ({"selector": None}, "must not be `None`"),
        ({"selector": {"matchLabels": {"app": 1}}}, "matchLabels.app is 1, and not of the type str"),
        ({"template": {"spec": {"containers": {}}}}, "template.spec.containers is no list"),
        ({"template": {"spec": {"containers": [{"image": "web"}]}}}, "`name`, must not be `None`"),
    ],
)
def test_a_fault_of_an_object_is_found(spec: dict[str, Any], says: str) -> None:
    found = problems({**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], **spec}}, {})
    assert found == [] if not says else says in " ".join(found)


def test_a_kind_that_nobody_defines_and_a_fault_by_a_definition_are_found() -> None:
    monitor = {"apiVersion": "example/v1", "kind": "Monitor", "metadata": {"name": "a"}, "spec": {}}
    assert problems(monitor, {}) == ["example/v1 Monitor is no kind of Kubernetes"]
    assert "'port' is a required property" in problems(monitor, {"Monitor": MONITOR})[0]
    assert problems({**monitor, "spec": {"port": 80}}, {"Monitor": MONITOR}) == []
