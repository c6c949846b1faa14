"""The role hands its chart values that the lab's chart takes, and secrets in no value."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml
from ansible.module_utils.metalworks.monitoring.parts import kept
from plugins.filter.monitoring import image, images, ingress
from tests.support.modules import ROOT
from tests.support.monitoring_values import secrets, values

SCHEMA = json.loads((ROOT / "lab" / "charts" / "kube-prometheus-stack" / "values.schema.json").read_text())
jsonschema.validators.validator_for(SCHEMA).check_schema(SCHEMA)
CHART = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
RECEIVERS = [{"type": "webhook", "url": "https://pager.example/hidden"}]
GRAFANA = {"app.kubernetes.io/name": "grafana"}
WATCHDOG = "https://watch.example/hidden"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="as_it_is_by_default"),
        pytest.param(
            {"monitoring_storage_class": "fast", "monitoring_pull_secrets": ["login"]}, id="said_otherwise"
        ),
        pytest.param({"metalworks_parts": ["monitoring"]}, id="nothing_else_is_there"),
        pytest.param(
            {"monitoring_receivers": RECEIVERS, "monitoring_watchdog_url": WATCHDOG}, id="people_are_told"
        ),
    ],
)
def test_the_labs_chart_takes_all_values(given: dict[str, Any]) -> None:
    assert [error.message for error in CHART.iter_errors(values(**given))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"prometheus": {"prometheusSpec": {"retentoin": "1d"}}},
        {"kubelet": {"serviceMonitor": {"metricRelabeling": []}}},
        {"grafana": {"enabled": True}},
    ],
)
def test_the_labs_chart_takes_no_other_value(wrong: dict[str, Any]) -> None:
    assert list(CHART.iter_errors(values(monitoring_values=wrong)))


def test_the_names_were_looked_up_in_upstreams_chart_of_this_version() -> None:
    """Upstream ignores a name that it does not know: look each up again, and write the version there."""
    text = (ROOT / "lab" / "charts" / "kube-prometheus-stack" / "values.yaml").read_text()
    catalogue = yaml.safe_load((ROOT / "artifacts.yml").read_text())
    entry = catalogue["artifacts"]["kube-prometheus-stack-chart"]
    assert f"of version {entry['upstream']['version']}.\n" in text
    assert set(SCHEMA["properties"]) == set(yaml.safe_load(text))


def test_secrets_are_in_a_secret_and_in_no_value() -> None:
    given = {"monitoring_receivers": RECEIVERS, "monitoring_watchdog_url": WATCHDOG}
    said = json.dumps(values(**given))
    assert "hidden" not in said
    assert "t" * 64 not in said
    token, told = secrets(**given)
    assert token["data"] == {"token": "t" * 64}
    assert told["data"] == {"receiver-1": RECEIVERS[0]["url"], "watchdog": WATCHDOG}
    assert values(**given)["alertmanager"]["alertmanagerSpec"]["secrets"] == [told["name"]]


def test_nothing_is_mounted_that_is_not_there() -> None:
    assert [each["name"] for each in secrets()] == ["hub-measurements"]
    assert values()["alertmanager"]["alertmanagerSpec"]["secrets"] == []


def test_each_source_keeps_what_is_asked_for() -> None:
    found = values()
    for source, monitor in (
        ("apiserver", found["kubeApiServer"]["serviceMonitor"]),
        ("kubelet", found["kubelet"]["serviceMonitor"]),
        ("node", found["prometheus-node-exporter"]["prometheus"]["monitor"]),
    ):
        relabelling = monitor["metricRelabelings"][0]
        assert [rule for rule in monitor["metricRelabelings"] if rule["action"] == "keep"] == [relabelling]
        assert (relabelling["action"], relabelling["regex"].split("|")) == ("keep", kept(source))
    assert found["kube-state-metrics"]["metricAllowlist"] == kept("kube_state")


def test_mounts_of_pods_are_no_disks_whatever_the_data_folder_is() -> None:
    hosts = {"metal-1": {"k3s_server_config": {"data-dir": "/srv/k3s+1"}}, "metal-2": {}}
    groups = {"k3s_server": ["metal-1"], "k3s_agent": ["metal-2"]}
    (argument,) = [
        each
        for each in values(groups=groups, hostvars=hosts)["prometheus-node-exporter"]["extraArgs"]
        if "mount-points-exclude" in each
    ]
    left_out = re.compile(argument.partition("=")[2])
    for folder in ("/srv/k3s+1", "/var/lib/rancher/k3s"):
        assert left_out.search(f"{folder}/agent/containerd/x/rootfs")
        assert not left_out.search(f"{folder}/storage")
    assert not left_out.search("/srv")


def test_an_operators_values_win() -> None:
    found = values(monitoring_values={"prometheus": {"prometheusSpec": {"scrapeInterval": "1m"}}})
    assert found["prometheus"]["prometheusSpec"]["scrapeInterval"] == "1m"
    assert found["prometheus"]["prometheusSpec"]["retention"] == "15d"


def test_grafana_has_our_dashboards_and_none_of_its_chart() -> None:
    found = values(monitoring_grafana=True)["grafana"]
    assert found["defaultDashboardsEnabled"] is False
    boards = found["dashboards"]["metalworks"]
    assert {"cluster", "node", "hub", "users", "store"} <= set(boards)
    assert json.loads(boards["hub"]["json"])["uid"] == "hub"


def test_grafana_reads_prometheus_and_only_the_door_reads_grafana() -> None:
    found = values(monitoring_grafana=True, monitoring_url="https://hub.example/")
    door = {"app.kubernetes.io/name": "door"}
    policies = [
        found["prometheus"]["networkPolicy"]["ingress"],
        found["alertmanager"]["networkPolicy"]["additionalIngress"],
        found["grafana"]["extraObjects"][0]["spec"]["ingress"],
    ]
    peers = [
        [source["podSelector"]["matchLabels"] for rule in policy for source in rule["from"]]
        for policy in policies
    ]
    assert all(GRAFANA in each for each in peers[:2])
    assert peers[2] == [door]
    assert found["grafana"]["grafana.ini"]["server"]["root_url"] == "https://hub.example/services/grafana/"
    assert GRAFANA not in [
        source["podSelector"]["matchLabels"]
        for rule in values()["prometheus"]["networkPolicy"]["ingress"]
        for source in rule["from"]
    ]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (
            "registry.example/a/b:v3.14.0-distroless",
            {
                "registry": "registry.example",
                "repository": "a/b",
                "tag": "v3.14.0-distroless",
            },
        ),
        (
            "registry.example:5000/a/b:1@sha256:0f",
            {"registry": "registry.example:5000", "repository": "a/b", "tag": "1", "sha": "0f"},
        ),
    ],
)
def test_an_image_is_taken_apart(reference: str, found: dict[str, str]) -> None:
    assert image(reference) == found


def test_a_namespace_lets_all_of_its_pods_in() -> None:
    [rule] = ingress(["logging"], 9093)
    assert rule["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "logging"}}}
    ]


def test_the_node_exporters_chart_wants_the_digest_as_a_whole() -> None:
    names = ("node-exporter", "prometheus")
    found = images({name: f"registry.example/{name}:v1@sha256:0f" for name in names})
    assert found["node-exporter"]["digest"] == "sha256:0f" and "sha" not in found["node-exporter"]
    assert found["prometheus"]["sha"] == "0f"
