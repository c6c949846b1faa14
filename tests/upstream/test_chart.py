"""Helm takes the chart from a repository, a file or a folder, and makes upstream's objects of our values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.charts import Objects, rendered
from tests.support.hub_values import ALL_PARTS, values
from tests.targets import mirror

CHART = mirror.ROOT / "lab" / "charts" / "jupyterhub"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
OURS = {"app": "jupyterhub", "release": "platform"}


@pytest.fixture(scope="module")
def archive() -> bytes:
    return mirror.packed({"jupyterhub": CHART})


@pytest.fixture(scope="module")
def repository(archive: bytes) -> Iterator[str]:
    with mirror.serving(mirror.Site(mirror.chart_repository({VERSION: archive}))) as site:
        yield f"{site.url}/helm-chart/"


def platform(*chart: str | Path) -> Objects:
    """Return the objects of a platform with all parts."""
    return rendered("platform", values(**ALL_PARTS, jupyterhub_node_port=30123), *chart, namespace="hubs")


@pytest.fixture(scope="module")
def objects() -> Objects:
    return platform(CHART)


def test_a_repository_gives_what_the_folder_gives(repository: str, objects: Objects) -> None:
    assert platform("jupyterhub", "--repo", repository, "--version", VERSION) == objects


def test_a_file_gives_what_the_folder_gives(archive: bytes, objects: Objects, tmp_path: Path) -> None:
    path = tmp_path / f"jupyterhub-{VERSION}.tgz"
    path.write_bytes(archive)
    assert platform(path) == objects


# The names, labels and ports that zero-to-jupyterhub has, as far as the role's values switch them on.

NAMES = {
    ("Deployment", "hub"),
    ("Deployment", "proxy"),
    ("Service", "hub"),
    ("Service", "proxy-api"),
    ("Service", "proxy-public"),
    ("Secret", "hub"),
    ("ConfigMap", "hub"),
    ("PersistentVolumeClaim", "hub-db-dir"),
    ("ServiceAccount", "hub"),
    ("Role", "hub"),
    ("RoleBinding", "hub"),
    ("NetworkPolicy", "hub"),
    ("NetworkPolicy", "proxy"),
    ("NetworkPolicy", "singleuser"),
}


def test_the_objects_have_upstreams_names(objects: Objects) -> None:
    assert set(objects) == NAMES


@pytest.mark.parametrize("name", ["hub", "proxy"])
def test_pods_are_selected_by_upstreams_labels(objects: Objects, name: str) -> None:
    spec = objects["Deployment", name]["spec"]
    selector = {**OURS, "component": name}
    assert spec["selector"]["matchLabels"] == selector
    assert selector.items() <= spec["template"]["metadata"]["labels"].items()
    assert spec["strategy"]["type"] == "Recreate"
    assert objects["NetworkPolicy", name]["spec"]["podSelector"]["matchLabels"] == selector


def test_the_policy_of_servers_is_for_servers(objects: Objects) -> None:
    policy = objects["NetworkPolicy", "singleuser"]["spec"]
    assert policy["podSelector"]["matchLabels"] == {**OURS, "component": "singleuser-server"}


@pytest.mark.parametrize(
    ("service", "component", "port", "container_port"),
    [("hub", "hub", 8081, 8081), ("proxy-api", "proxy", 8001, 8001), ("proxy-public", "proxy", 80, 8000)],
)
def test_services_lead_to_upstreams_ports(
    objects: Objects, service: str, component: str, port: int, container_port: int
) -> None:
    spec = objects["Service", service]["spec"]
    assert {**OURS, "component": component}.items() >= spec["selector"].items()
    target = next(each["targetPort"] for each in spec["ports"] if each["port"] == port)
    containers = objects["Deployment", component]["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in containers[0]["ports"]}
    assert ports.get(target, target) == container_port


def test_the_hub_is_reached_at_the_node_port(objects: Objects) -> None:
    spec = objects["Service", "proxy-public"]["spec"]
    assert (spec["type"], spec["ports"][0]["nodePort"]) == ("NodePort", 30123)


def test_servers_may_reach_the_store_and_what_the_operator_says(objects: Objects) -> None:
    rules = objects["NetworkPolicy", "singleuser"]["spec"]["egress"]
    store = {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "object-store"}}}],
        "ports": [{"port": 7070, "protocol": "TCP"}],
    }
    assert store in rules
    assert {"to": [{"ipBlock": {"cidr": "192.0.2.40/32"}}]} in rules


def test_each_page_has_its_token_in_the_hubs_secret(objects: Objects) -> None:
    found = objects["Secret", "hub"]["stringData"]
    assert {f"hub.services.{name}.apiToken" for name in ("mlflow", "logs", "deploys")} <= found.keys()
    assert "home" in found


def test_a_digest_reaches_the_pod(objects: Objects) -> None:
    containers = objects["Deployment", "proxy"]["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == f"example.test/proxy:2@sha256:{'0' * 64}"
