"""The chart of the models, as helm makes objects of the role's values."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.artifacts import built_path
from tests.support.roles import resolved

CHART = Path(__file__).resolve().parents[2] / "files" / "model" / "chart"
INPUTS: dict[str, Any] = {
    "container_images_references": {"model": "example.test/model:1"},
    "metalworks_parts": ["jupyterhub", "object_store", "mlflow", "door", "model"],
    "jupyterhub_namespace": "jupyterhub",
    "mlflow_namespace": "mlflow",
    "object_store_endpoint": "http://object-store.object-store.svc.cluster.local:7070",
    "__model_tokens": {"trainer": "token-of-the-trainer", "server": "token-of-the-server"},
}
Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    helm = built_path("helm")

    def objects(**given: Any) -> Objects:
        path = tmp_path_factory.mktemp("values") / "values.yaml"
        path.write_text(yaml.safe_dump(resolved("model", "__model_values", **{**INPUTS, **given})))
        command = [helm, "template", "model", CHART, "--namespace", "model", "--values", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = [each for each in yaml.safe_load_all(done.stdout) if each]
        return {(each["kind"], each["metadata"]["name"]): each for each in found}

    return objects


def pods(objects: Objects) -> Iterator[dict[str, Any]]:
    """The specifications of all pods."""
    for (kind, _), each in objects.items():
        if kind == "Deployment":
            yield each["spec"]["template"]["spec"]
        if kind == "CronJob":
            yield each["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_all_pods_are_restricted_and_have_no_token_of_kubernetes(render: Render) -> None:
    found = list(pods(render()))
    assert len(found) == 5
    for spec in found:
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"] and container["resources"]["limits"]
        assert "token-of" not in str(spec)


def test_servers_have_no_key_of_the_store_and_the_trainers_token_is_the_trainers(render: Render) -> None:
    objects = render()
    server = str(objects["Deployment", "recommender"])
    assert "AWS_" not in server and "'key': 'server'" in server
    train = str(objects["CronJob", "recommender-train"])
    assert "AWS_SECRET_ACCESS_KEY" in train and "'key': 'trainer'" in train
    assert "model-registry" not in str(objects["CronJob", "ingest-invoices"])


def test_another_setting_version_or_token_rolls_the_servers(render: Render) -> None:
    def marks(**given: Any) -> dict[str, str]:
        found = render(**given)["Deployment", "recommender"]
        marks: dict[str, str] = found["spec"]["template"]["metadata"]["annotations"]
        return marks

    before = marks()
    entry = {"name": "recommender", "kind": "recommender", "settings": {"queue": 64}}
    assert marks(model_models=[entry])["checksum/settings"] != before["checksum/settings"]
    assert marks(model_version="3")["checksum/settings"] != before["checksum/settings"]
    tokens = {"trainer": "a", "server": "b"}
    assert marks(__model_tokens=tokens)["checksum/registry"] != before["checksum/registry"]
    assert marks(model_tolerations=[{"key": "a"}]) == before


def test_a_model_of_somebody_else_is_only_served(render: Render) -> None:
    objects = render(
        model_models=[
            {"name": "mine", "replicas": 2, "max_replicas": 2, "service_type": "NodePort", "node_port": 30123}
        ],
        model_shop=False,
    )
    kinds = [kind for kind, _ in objects]
    assert "CronJob" not in kinds
    assert "HorizontalPodAutoscaler" not in kinds
    assert "PersistentVolumeClaim" not in kinds
    assert objects["Service", "mine"]["spec"]["ports"][0]["nodePort"] == 30123
    assert objects["NetworkPolicy", "mine-published"]["spec"]["ingress"] == [{"ports": [{"port": 8080}]}]


def test_the_source_is_reached_and_nothing_is_where_none_is_needed(render: Render) -> None:
    assert ("NetworkPolicy", "ingest-invoices") not in render()
    objects = render(model_source="https://a.example/{day}.csv", model_source_first="2010-12-01")
    egress = objects["NetworkPolicy", "ingest-invoices"]["spec"]["egress"]
    assert egress == [{"ports": [{"port": 443}]}]
    (container,) = objects["CronJob", "ingest-invoices"]["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["args"] == ["ingest", "--first", "2010-12-01"]
