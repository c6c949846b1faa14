"""The charts of logging make the published ones' objects of our values, and refuse what they do not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.charts import Objects, rendered
from tests.support.roles import resolved

CHARTS = Path(__file__).resolve().parents[2] / "lab" / "charts"
GIVEN = {
    "container_images_references": {
        "victoria-logs": "docker.io/victoriametrics/victoria-logs:v1.52.1",
        "vlagent": "docker.io/victoriametrics/vlagent:v1.52.1",
        "vmauth": "docker.io/victoriametrics/vmauth:v1.150.0",
    },
    "logging_namespace": "logging",
    "metalworks_state_dir": "/nowhere",
}
RELEASES = {
    "logs": ("victoria-logs-single", "__logging_store_values"),
    "logs-collector": ("victoria-logs-collector", "__logging_collector_values"),
}


def objects_of(release: str, **values: Any) -> Objects:
    """Return the objects of a release, with these values beside those of the role."""
    chart, variable = RELEASES[release]
    also = [{"url": "http://other:1/", "format": "jsonline"}]
    given = resolved("logging", variable, **GIVEN, logging_also_to=also)
    return rendered(release, {**given, **values}, CHARTS / chart, namespace="logging")


@pytest.fixture(scope="module")
def objects() -> Objects:
    return {**objects_of("logs"), **objects_of("logs-collector")}


def test_the_objects_have_upstreams_names(objects: Objects) -> None:
    """As victoria-logs-single 0.13.9 and victoria-logs-collector 0.3.7 name them (templates/*.yaml)."""
    assert set(objects) == {
        ("Deployment", "logs"),
        ("Service", "logs"),
        ("ServiceAccount", "logs"),
        ("PersistentVolumeClaim", "logs"),
        ("NetworkPolicy", "logs"),
        ("DaemonSet", "logs-collector"),
        ("ServiceAccount", "logs-collector"),
        ("ClusterRole", "logs-collector"),
        ("ClusterRoleBinding", "logs-collector"),
        ("NetworkPolicy", "logs-collector"),
    }


def test_the_store_keeps_to_its_limits(objects: Objects) -> None:
    store, login = objects["Deployment", "logs"]["spec"]["template"]["spec"]["containers"]
    for argument in (
        "--retentionPeriod=14d",
        "--retention.maxDiskSpaceUsageBytes=8192MiB",
        "--storage.minFreeDiskSpaceBytes=1024MiB",
        "--memory.allowedBytes=48MiB",
    ):
        assert argument in store["args"]
    assert {"name": "GOMEMLIMIT", "value": "79MiB"} in store["env"]
    assert store["resources"]["limits"] == {"memory": "256Mi"}
    assert login["ports"][0] == {"name": "login", "containerPort": 8427}


def test_nodes_reach_the_login_at_an_address(objects: Objects) -> None:
    spec = objects["Service", "logs"]["spec"]
    assert "clusterIP" not in spec, "a headless Service has none"
    assert {port["name"]: port["port"] for port in spec["ports"]} == {"http": 9428, "login": 8427}


def test_the_volume_outlives_the_release(objects: Objects) -> None:
    kept = objects["PersistentVolumeClaim", "logs"]["metadata"]["annotations"]
    assert kept == {"helm.sh/resource-policy": "keep"}


def test_a_collector_sends_to_both_places_and_sees_no_more_than_it_needs(objects: Objects) -> None:
    spec = objects["DaemonSet", "logs-collector"]["spec"]["template"]["spec"]
    (collector,) = spec["containers"]
    sent = [each for each in collector["args"] if each.startswith("--remoteWrite.")]
    assert sent == [
        "--remoteWrite.url=http://logs.logging.svc.cluster.local:9428/insert/native",
        "--remoteWrite.format=native",
        "--remoteWrite.maxDiskUsagePerURL=1024MiB",
        "--remoteWrite.url=http://other:1/",
        "--remoteWrite.format=jsonline",
        "--remoteWrite.maxDiskUsagePerURL=1024MiB",
    ]
    paths = {volume["hostPath"]["path"] for volume in spec["volumes"]}
    assert paths == {"/var/log", "/var/lib/vl-collector"}


@pytest.mark.parametrize("release", RELEASES)
def test_an_unknown_value_is_refused(release: str) -> None:
    with pytest.raises(AssertionError, match="vector"):
        objects_of(release, vector={"enabled": True})
