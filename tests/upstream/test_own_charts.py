"""The charts of the platform's own parts, rendered: how their pods pull from a registry with a login."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.charts import Objects, rendered

FILES = Path(__file__).resolve().parents[2] / "files"
# The pods of CoreDNS, as k3s and Kubernetes label them.
DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
# What the charts demand beside the values of a test.
NEEDED: dict[str, dict[str, Any]] = {
    "mlflow": {"image": "r.example/mlflow:1", "door": {"secret": "s" * 32}},
    "object_store": {"images": {"gateway": "r.example/gateway:1", "front": "r.example/front:1"}},
}
OTHERS: dict[str, dict[str, Any]] = {
    "door": {
        "image": "r.example/door:1",
        "settings": {
            "hub_api_url": "http://hub:8081",
            "base_url": "/",
            "cookie_secret": "s" * 64,
            "pages": [{}],
            "port": 8000,
        },
    },
    "model": {"image": "r.example/model:1", "registry": {"url": "http://mlflow:5000"}},
}


def objects_of(part: str, **values: Any) -> Objects:
    """Return the objects of a chart."""
    return rendered("part", {**(NEEDED | OTHERS)[part], **values}, FILES / part / "chart")


def pull_secrets(objects: Objects) -> list[str]:
    """Return the names of the logins that the pods use."""
    (deployment,) = (each for (kind, _), each in objects.items() if kind == "Deployment")
    names = deployment["spec"]["template"]["spec"].get("imagePullSecrets", [])
    return [each["name"] for each in names]


@pytest.mark.parametrize("part", NEEDED)
@pytest.mark.parametrize("names", [[], ["metalworks-registry", "another"]])
def test_pods_pull_with_the_logins_that_are_named(part: str, names: list[str]) -> None:
    assert pull_secrets(objects_of(part, pullSecrets=names)) == names


@pytest.mark.parametrize("part", ["door", "mlflow", "model"])
def test_only_the_dns_of_the_cluster_is_asked_for_names(part: str) -> None:
    """An open port 53 is a way to everywhere for what runs in a pod."""
    rules = [
        rule
        for (kind, _), each in objects_of(part).items()
        if kind == "NetworkPolicy"
        for rule in each["spec"].get("egress") or []
        if 53 in {port["port"] for port in rule["ports"]}
    ]
    assert [rule["to"] for rule in rules] == [[DNS]]
    assert {port["protocol"] for port in rules[0]["ports"]} == {"UDP", "TCP"}
