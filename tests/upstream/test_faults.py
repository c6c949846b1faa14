"""From a fault to the receiver: the real Prometheus and Alertmanager with our rules, times and routes.

The targets are stand-ins. They serve what a healthy platform does, then one with many faults at once.
The molecule scenario causes faults of a real cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.monitoring.parts import rules_of
from tests.support import alerting
from tests.support.alerting import Receiver, result
from tests.support.monitoring_values import values
from tests.support.queries import PARTS, rules, seconds
from tests.support.servers import Silent, running
from tests.support.waiting import wait_for

# From the fault until the receiver is told, beyond the time that the rule itself waits.
DELAY = 30
# From the end of a fault: a scrape, an evaluation, and what Alertmanager waits for a group (group_interval).
END_DELAY = 60
RULES = {rule["alert"]: rule for part in PARTS for rule in rules(part)}
NODES = ("one", "two", "three")
EVERYWHERE = ("kubelet", "node-exporter", "victoria-logs-collector")
ONCE = ("hub", "proxy", "object-store", "mlflow", "door", "logs", "apiserver", "kube-state-metrics")
DAY = 86400
Value = Callable[[float], float]

# What does not answer any more, as job or job of a node, and the alert about it.
GONE = {
    "HubDown": ("hub",),
    "ProxyDown": ("proxy",),
    "StoreDown": ("object-store",),
    "MlflowDown": ("mlflow",),
    "DoorDown": ("door",),
    "LogStoreDown": ("logs",),
    "ApiServerDown": ("apiserver",),
    "LogCollectorDown": ("victoria-logs-collector/one", "victoria-logs-collector/two"),
    "NodeDown": ("kubelet/two", "node-exporter/two"),
}
# What is measured of objects and machines: target, series, and the healthy and the faulty value at a time.
MEASURED: dict[str, tuple[str, str, Value, Value]] = {
    "JobFailed": (
        "kube-state-metrics",
        'kube_job_failed{namespace="a",job_name="b",condition="true"}',
        lambda now: 0,
        lambda now: 1,
    ),
    "NodeNotReady": (
        "kube-state-metrics",
        'kube_node_status_condition{condition="Ready",status="true",node="three"}',
        lambda now: 1,
        lambda now: 0,
    ),
    "PodOutOfMemory": (
        "kube-state-metrics",
        'kube_pod_container_status_restarts_total{namespace="a",pod="b",container="c"}',
        lambda now: 0,
        lambda now: 1,
    ),
    "PodStuckTerminating": (
        "kube-state-metrics",
        'kube_pod_deletion_timestamp{namespace="a",pod="b"}',
        lambda now: now,
        lambda now: now - 700,
    ),
    "VolumeNearlyFull": (
        "node-exporter/one",
        'dirsize_total_size_bytes{namespace="a",persistentvolumeclaim="b"}',
        lambda now: 50,
        lambda now: 95,
    ),
    "CertificateNearlyExpired": (
        "node-exporter/one",
        'node_certificate_end_seconds{file="agent/a.crt"}',
        lambda now: now + 100 * DAY,
        lambda now: now + 3 * DAY,
    ),
    "NodeClockSkew": (
        "node-exporter/one",
        "node_timex_offset_seconds",
        lambda now: 0.001,
        lambda now: 0.2,
    ),
    "NodeOutOfMemory": (
        "node-exporter/three",
        "node_vmstat_oom_kill",
        lambda now: 3,
        lambda now: 4,
    ),
}
READY = 'kube_node_status_condition{{condition="Ready",status="true",node="{}"}} 1'
ALWAYS = {
    "kube-state-metrics": (
        READY.format("one"),
        READY.format("two"),
        "kube_pod_container_status_last_terminated_reason"
        '{namespace="a",pod="b",container="c",reason="OOMKilled"} 1',
        "kube_persistentvolumeclaim_resource_requests_storage_bytes"
        '{namespace="a",persistentvolumeclaim="b"} 100',
    ),
    "logs": ('vl_rows_ingested_total{type="nativeinsert"} NOW',),
}
# Their conditions hold for ten minutes after the fault, because they look back so far.
LASTING = {"PodOutOfMemory", "NodeOutOfMemory"}
FAULTS = [*GONE, *MEASURED]


class Platform(ThreadingHTTPServer):
    """Serves what all targets measure, each under a path of its own."""

    def __init__(self) -> None:
        """Be healthy."""
        super().__init__(("127.0.0.1", 0), Target)
        self.began, self.faulty = time.time(), False

    def text(self, target: str) -> str | None:
        """Return what a target serves, or None if it does not answer."""
        if self.faulty and any(target in gone for gone in GONE.values()):
            return None
        lines = [line.replace("NOW", str(time.time())) for line in ALWAYS.get(target, ())]
        for job, series, healthy, faulty in MEASURED.values():
            if job == target:
                value = faulty if self.faulty else healthy
                lines.append(f"{series} {value(time.time())}")
        return "\n".join(lines) + "\n"


class Target(Silent):
    """Answers one request of Prometheus."""

    server: Platform

    def do_GET(self) -> None:
        """Serve the measurements of the target that the path names."""
        text = self.server.text(self.path.strip("/"))
        self.reply(503 if text is None else 200, text or "", "text/plain; version=0.0.4")


def jobs(address: str) -> Iterator[dict[str, Any]]:
    """Yield a scrape for each target, labelled as the operator labels it."""
    for job in EVERYWHERE:
        for node in NODES:
            labels = {"job": job, "node": node}
            yield {
                "job_name": f"{job}/{node}",
                "metrics_path": f"/{job}/{node}",
                "static_configs": [{"targets": [address], "labels": labels}],
            }
    for job in ONCE:
        yield {
            "job_name": job,
            "metrics_path": f"/{job}",
            "honor_labels": job == "kube-state-metrics",
            "static_configs": [{"targets": [address]}],
        }


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    found = Platform()
    with running(found):
        yield found


@pytest.fixture(scope="module")
def prometheus(
    platform: Platform, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of Prometheus, with an Alertmanager that tells the receiver."""
    folder = tmp_path_factory.mktemp("prometheus")
    spec = values()["prometheus"]["prometheusSpec"]
    groups = [group for rule in rules_of(PARTS, "pages").values() for group in rule["groups"]]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    with alerting.alertmanager(folder, [{"type": "webhook", "url": receiver.url("all")}], "") as told:
        settings = {
            "global": {
                "scrape_interval": spec["scrapeInterval"],
                "scrape_timeout": spec["scrapeTimeout"],
                "evaluation_interval": spec["evaluationInterval"],
            },
            "rule_files": [str(folder / "rules.yml")],
            "scrape_configs": list(jobs(f"127.0.0.1:{platform.server_port}")),
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [told]}]}]},
        }
        with alerting.prometheus(folder, settings) as address:
            yield address


def waits(alert: str) -> int:
    """How long a rule's condition has to hold."""
    return seconds(RULES[alert].get("for", "0s"))


def first(receiver: Receiver, alert: str, status: str, since: float) -> float | None:
    """When the receiver was first told."""
    found = receiver.of("all", status)
    times = [each["at"] for each in found if each["labels"]["alertname"] == alert and each["at"] >= since]
    return min(times, default=None)


@pytest.fixture(scope="module")
def fault(platform: Platform, prometheus: str) -> float:
    """Let everything be well for a while, then cause all faults at once; return when that was."""
    targets = len(EVERYWHERE) * len(NODES) + len(ONCE)
    wait_for(lambda: len(result(prometheus, "up == 1")) == targets, "not all targets are up", 60)
    # Counters have to be seen before they rise.
    wait_for(
        lambda: result(prometheus, "count_over_time(up[5m]) >= 4"), "there are too few measurements", 90, 1
    )
    active = result(prometheus, 'ALERTS{alertname!="Watchdog"}')
    assert not active, "an alert is active on a healthy platform"
    platform.faulty = True
    return time.time()


@pytest.mark.parametrize("alert", FAULTS)
def test_a_fault_is_told_in_time(alert: str, fault: float, receiver: Receiver, record_property: Any) -> None:
    most = waits(alert) + DELAY
    at = wait_for(
        lambda: first(receiver, alert, "firing", fault),
        f"{alert} was not told",
        max(1, fault + most + 30 - time.time()),
    )
    record_property("seconds", round(at - fault, 1))
    assert at - fault <= most, f"{alert} was told after {at - fault:.1f} s, and may wait {waits(alert)} s"


@pytest.fixture(scope="module")
def mended(platform: Platform, fault: float) -> float:
    """All is well again; return since when."""
    platform.faulty = False
    return time.time()


@pytest.mark.parametrize("alert", [each for each in FAULTS if each not in LASTING])
def test_the_end_of_a_fault_is_told_in_time(alert: str, mended: float, receiver: Receiver) -> None:
    at = wait_for(
        lambda: first(receiver, alert, "resolved", mended),
        f"the end of {alert} was not told",
        max(1, mended + END_DELAY + 30 - time.time()),
    )
    assert at - mended <= END_DELAY, f"its end was told after {at - mended:.1f} s"
