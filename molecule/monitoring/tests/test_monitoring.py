"""Monitoring finds its targets, is quiet while all is well, and tells of a fault in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring.boards import plain
from ansible.module_utils.metalworks.monitoring.parts import kept
from tests.support.queries import DUPLICATES, FIRES, panels, rules
from tests.support.scenario import converge_again
from tests.support.waiting import wait_for
from tests.support.watchers import NAMESPACE, Watchers

from kubernetes import client

SCENARIO = Path(__file__).resolve().parents[1]
MINE = "monitoring"
JOBS = {"apiserver", "kubelet", "node-exporter", "kube-state-metrics", "monitoring-operator"}
JOBS |= {"monitoring-prometheus", "monitoring-alertmanager"}
# From the fault until the receiver is told, beyond the time that the rule itself waits.
DELAY = 30
MOST_MEMORY = 500 * 1024**2
PANELS = list(panels(MINE))


@pytest.fixture(scope="module", autouse=True)
def a_while_has_passed(watchers: Watchers) -> None:
    """Rates need two scrapes, and what starts may be late."""
    wait_for(
        lambda: {each["metric"]["job"] for each in watchers.result("up == 1")} >= JOBS,
        lambda: f"targets that are up: {watchers.result('up')}",
        seconds=180,
    )
    wait_for(
        lambda: watchers.result("count_over_time(up{job='apiserver'}[5m]) >= 5"), "five scrapes", seconds=180
    )


@pytest.fixture
def failed_job(core: client.CoreV1Api) -> Iterator[float]:
    """A Job that fails at once; yields the time at which Kubernetes said so."""
    batch = client.BatchV1Api(core.api_client)
    image = (
        core.list_namespaced_pod(NAMESPACE, label_selector="app=receiver").items[0].spec.containers[0].image
    )
    container = {"name": "fail", "image": image, "command": ["false"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {"metadata": {"name": "fails"}, "spec": {"backoffLimit": 0, "template": template}}
    batch.create_namespaced_job(NAMESPACE, job)
    try:

        def failed() -> float | None:
            conditions = batch.read_namespaced_job("fails", NAMESPACE).status.conditions or []
            times = [each.last_transition_time.timestamp() for each in conditions if each.type == "Failed"]
            return times[0] if times else None

        yield wait_for(failed, "the Job did not fail") or 0
    finally:
        batch.delete_namespaced_job("fails", NAMESPACE, propagation_policy="Background")


def test_no_target_is_down(watchers: Watchers) -> None:
    assert watchers.result("up == 0") == []


def test_prometheus_has_all_rules_and_evaluates_them(watchers: Watchers) -> None:
    loaded = [rule for group in watchers.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules(MINE)} <= {rule["name"] for rule in loaded}
    assert [rule["name"] for rule in loaded if rule["health"] != "ok"] == []
    assert all(rule["annotations"]["runbook_url"].endswith(f"{rule['name']}.md") for rule in loaded)


def test_nothing_fires_while_all_is_well(watchers: Watchers) -> None:
    wait_for(
        lambda: not watchers.result(FIRES),
        lambda: f"alerts that fire: {watchers.result('ALERTS')}",
        seconds=120,
    )


@pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board}-{panel['title']}" for board, panel in PANELS]
)
def test_every_panel_has_data(board: str, panel: dict[str, Any], watchers: Watchers) -> None:
    for query in panel["queries"]:
        found = watchers.result(plain(query["expr"], "1m"))
        assert found or panel.get("may_be_empty"), f"{board}: {query['expr']}"


@pytest.mark.parametrize("source", ["apiserver", "kubelet", "cadvisor", "node"])
def test_what_is_kept_is_there_and_nothing_else(source: str, watchers: Watchers) -> None:
    job, path = {
        "apiserver": ("apiserver", "/metrics"),
        "kubelet": ("kubelet", "/metrics"),
        "cadvisor": ("kubelet", "/metrics/cadvisor"),
        "node": ("node-exporter", "/metrics"),
    }[source]
    chosen = f'metrics_path="{path}",' if job == "kubelet" else ""
    names = watchers.result(
        f'group by (__name__) ({{job="{job}",{chosen}__name__!~"up|scrape_.+|ALERTS.*"}})'
    )
    found = {each["metric"]["__name__"] for each in names}
    assert found <= set(kept(source))
    # A machine of the lab has no disk of its own, and its containers none either. SQLite has no snapshots.
    assert set(kept(source)) - found <= {
        "node_disk_io_time_seconds_total",
        "container_fs_writes_bytes_total",
        "node_snapshot_newest_seconds",
    }


def test_nothing_is_stored_twice(watchers: Watchers) -> None:
    assert watchers.result(DUPLICATES) == []


def test_measurements_of_containers_name_them(watchers: Watchers) -> None:
    query = f'container_memory_working_set_bytes{{namespace="{NAMESPACE}",container="prometheus"}}'
    assert len(watchers.result(query)) == 1


def test_it_takes_little_memory(watchers: Watchers) -> None:
    query = (
        f'sum(container_memory_working_set_bytes{{namespace="{NAMESPACE}",container!="",pod!~"receiver-.*"}})'
    )
    [found] = watchers.result(query)
    assert float(found["value"][1]) < MOST_MEMORY


def test_the_watchdog_comes_each_minute(watchers: Watchers) -> None:
    before = len(watchers.told("/watchdog"))
    wait_for(lambda: len(watchers.told("/watchdog")) >= before + 2, "two more messages", seconds=150)
    first, second = (each["at"] for each in watchers.told("/watchdog")[before : before + 2])
    assert second - first < 90


def test_a_fault_is_told_in_time_and_so_is_its_end(watchers: Watchers, failed_job: float) -> None:
    def told(status: str) -> list[dict[str, Any]]:
        return [
            each
            for each in watchers.told()
            if each["labels"]["alertname"] == "JobFailed"
            and each["status"] == status
            and each["labels"]["job_name"] == "fails"
            and each["at"] > failed_job
        ]

    [rule] = [rule for rule in rules(MINE) if rule["alert"] == "JobFailed"]
    waits = int(rule["for"].removesuffix("m")) * 60
    first = wait_for(lambda: told("firing"), "JobFailed was not told", seconds=waits + 120)[0]
    assert first["at"] - failed_job <= waits + DELAY, f"fired {datetime.fromtimestamp(first['at'])}"
    assert first["annotations"]["runbook_url"].endswith("/JobFailed.md")
    assert first["generatorURL"].startswith("http://hub.example/services/prometheus/")


def test_the_end_of_a_fault_is_told(watchers: Watchers) -> None:
    """The Job of the test before is gone."""
    wait_for(
        lambda: [
            each
            for each in watchers.told()
            if each["labels"]["alertname"] == "JobFailed" and each["status"] == "resolved"
        ],
        "the end of JobFailed was not told",
        seconds=120,
    )


def test_measurements_outlive_prometheus(watchers: Watchers, core: client.CoreV1Api) -> None:
    since = time.time()
    core.delete_namespaced_pod("prometheus-monitoring-0", NAMESPACE, grace_period_seconds=0)
    watchers.forget()

    def back() -> bool:
        try:
            return bool(watchers.result("up == 1"))
        except Exception:  # the port is closed, or the pod is not there yet
            watchers.forget()
            return False

    wait_for(back, "Prometheus did not come back", seconds=180, every=3)
    old = watchers.ask("query", query="count(up)", time=str(since - 30))["result"]
    assert old, "what was measured before is gone"


def test_a_receiver_that_is_taken_out_leaves_no_secret(core: client.CoreV1Api) -> None:
    converge_again(SCENARIO, "cluster.yml", monitoring_receivers=[], monitoring_watchdog_url="")
    names = {secret.metadata.name for secret in core.list_namespaced_secret(NAMESPACE).items}
    assert "monitoring-receivers" not in names
    assert "hub-measurements" in names
