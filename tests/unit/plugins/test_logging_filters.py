"""What the charts and the programs of logging are told, made of the roles' inputs."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from plugins.filter.logging import FilterModule
from tests.support.roles import resolved

FILTERS = FilterModule().filters()
GIVEN = {
    "container_images_references": {
        "victoria-logs": "docker.io/victoriametrics/victoria-logs:v1",
        "vlagent": "registry.example:5000/lab/vlagent:v2@sha256:00",
        "vmauth": "metalworks.local/vmauth:v3",
    },
    "logging_namespace": "logging",
    "logging_reader_password": "r" * 16,
    "metalworks_state_dir": "/nowhere",
}


def use(name: str, *arguments: Any) -> Any:
    return FILTERS[name](*arguments)


@pytest.mark.parametrize(
    ("size", "budget"), [("10Gi", "8192MiB"), ("512Mi", "409MiB"), ("2Ti", "1677721MiB")]
)
def test_logs_take_four_fifths_of_their_volume(size: str, budget: str) -> None:
    assert use("logging_budget", size) == budget


def test_a_program_knows_the_limit_of_its_container() -> None:
    """48 and 80 MiB are what was measured, with peaks of 149 MiB, below a limit of 256 MiB."""
    assert use("logging_memory", "256Mi") == {"caches": "48MiB", "eager": "79MiB"}
    with pytest.raises(ValueError, match="is no size"):
        use("logging_memory", "much")


def test_each_user_reaches_what_is_its_own() -> None:
    found = json.loads(use("logging_logins", "reading", "writing", "secret"))
    paths = {each["username"]: (each["password"], each["url_map"][0]["src_paths"]) for each in found["users"]}
    assert paths == {"reader": ("reading", ["/select/.*"]), "writer": ("writing", ["/insert/.*"])}
    (door,) = found["unauthorized_user"]["url_map"]
    assert door["src_headers"] == ["X-Metalworks-Door: secret"]
    assert "/insert/.*" not in door["src_paths"]


def test_a_journal_is_sent_to_an_address_that_systemd_and_the_store_understand() -> None:
    url = use("logging_journal_url", "10.43.0.9:8427", "writer", "a/b", "metal-1")
    parts = urlsplit(url)
    assert (parts.username, parts.password, parts.hostname, parts.port) == (
        "writer",
        "a%2Fb",
        "10.43.0.9",
        8427,
    )
    assert parts.path == "/insert/journald/upload"
    assert parse_qs(parts.query)["extra_fields"] == ["kubernetes.pod_node_name=metal-1"]
    assert parse_qs(parts.query)["_stream_fields"] == ["_HOSTNAME,_SYSTEMD_UNIT"]
    assert url.endswith("#"), "what systemd writes behind it would be a part of the query"


def test_destinations_have_a_buffer_each() -> None:
    others = [{"url": "http://b:1/", "format": "jsonline"}, {"url": "http://c:2", "format": None}]
    assert use("logging_destinations", [{"url": "http://a:9428"}], others, "1Gi") == [
        {"url": "http://a:9428", "format": "native", "maxDiskUsagePerURL": "1024MiB"},
        {"url": "http://b:1/", "format": "jsonline", "maxDiskUsagePerURL": "1024MiB"},
        {"url": "http://c:2", "format": "native", "maxDiskUsagePerURL": "1024MiB"},
    ]


def test_the_store_has_one_open_port_and_asks_nobody() -> None:
    values = resolved("logging", "__logging_store_values", **GIVEN)
    policy = values["networkPolicy"]
    (opened,) = [rule for rule in policy["ingress"] if "from" not in rule]
    assert opened["ports"] == [{"port": 8427}]
    (own,) = [rule for rule in policy["ingress"] if "from" in rule]
    assert own["ports"] == [{"port": 9428}]
    assert len(own["from"]) == 2, "the collectors, and the namespace monitoring"
    assert policy["egress"], "without a rule the chart would allow all"
    assert values["server"]["image"] == {"repository": "docker.io/victoriametrics/victoria-logs", "tag": "v1"}
    assert values["server"]["retentionPeriod"] == "14d"
    assert values["server"]["retentionDiskSpaceUsage"] == "8192MiB"


def test_no_secret_is_in_the_values() -> None:
    for name in ("__logging_store_values", "__logging_collector_values"):
        assert "r" * 16 not in json.dumps(resolved("logging", name, **GIVEN))


def test_a_collector_runs_on_every_node_and_sends_to_the_store() -> None:
    values = resolved("logging", "__logging_collector_values", **GIVEN)
    assert values["tolerations"] == [{"operator": "Exists"}]
    assert values["image"] == {"repository": "registry.example:5000/lab/vlagent", "tag": "v2@sha256:00"}
    assert values["remoteWrite"][0]["url"] == "http://logs.logging.svc.cluster.local:9428"
    assert values["securityContext"]["capabilities"] == {"drop": ["ALL"]}
