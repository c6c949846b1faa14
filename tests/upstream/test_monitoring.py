"""Monitoring: the chart through helm, rules through promtool, keep-lists through Prometheus."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.monitoring.boards import plain
from ansible.module_utils.metalworks.monitoring.parts import FILES, boards_of, files_of, kept, rules_of
from tests.support.alerting import prometheus, result
from tests.support.artifacts import built_path
from tests.support.charts import rendered
from tests.support.monitoring_values import values
from tests.support.queries import DUPLICATES, PARTS, SERIES, rules
from tests.support.servers import Silent, running
from tests.support.waiting import wait_for

# Series that one process counts, as each port of k3s' single process serves them: some kept, most not.
REGISTRY = "".join(
    f'# TYPE {name} gauge\n{name}{{code="200"}} 1\n'
    for name in (
        *kept("apiserver"),
        *kept("kubelet"),
        "apiserver_audit_level_total",
        "go_threads",
    )
)
OBJECTS = {
    ("Prometheus", "monitoring"),
    ("Alertmanager", "monitoring"),
    ("Service", "monitoring-prometheus"),
    ("Service", "monitoring-alertmanager"),
    ("Deployment", "monitoring-operator"),
    ("Deployment", "monitoring-kube-state-metrics"),
    ("DaemonSet", "monitoring-prometheus-node-exporter"),
    ("ServiceMonitor", "monitoring-apiserver"),
    ("ServiceMonitor", "monitoring-kubelet"),
    ("ServiceMonitor", "monitoring-kube-state-metrics"),
    ("ServiceMonitor", "monitoring-prometheus-node-exporter"),
    ("ServiceMonitor", "hub"),
    ("PodMonitor", "proxy"),
    ("NetworkPolicy", "monitoring-prometheus"),
    ("NetworkPolicy", "monitoring-alertmanager"),
}


@pytest.fixture(scope="module")
def promtool() -> str:
    return str(built_path("promtool"))


def test_the_chart_makes_upstreams_objects() -> None:
    chart = built_path("kube-prometheus-stack-chart")
    found = rendered("monitoring", values(), chart, namespace="watch")
    assert set(found) >= OBJECTS
    assert found["Prometheus", "monitoring"]["spec"]["retentionSize"] == "4096MiB"
    assert len(list((chart / "crds").glob("*.yaml"))) == 10
    # What kube-state-metrics is told to look at, it may look at.
    rules = found["ClusterRole", "monitoring-kube-state-metrics"]["rules"]
    allowed = sorted(resource for rule in rules for resource in rule["resources"])
    [pod] = found["Deployment", "monitoring-kube-state-metrics"]["spec"]["template"]["spec"]["containers"]
    assert f"--resources={','.join(allowed)}" in pod["args"]


@pytest.mark.parametrize("part", PARTS)
def test_rules_fire_and_are_silent_as_their_tests_say(part: str, promtool: str) -> None:
    tests = sorted((FILES / part / "rules").glob("*.test.yml"))
    assert tests
    done = subprocess.run([promtool, "test", "rules", *tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_no_alert_passes_its_test_if_it_always_fires(part: str, promtool: str, tmp_path: Path) -> None:
    """Each alert has a silent case that `vector(1)` in place of its expression would break."""
    for path in files_of(part, "rules"):
        found = yaml.safe_load(path.read_text())
        test_path = path.with_suffix("").with_suffix(".test.yml")
        # Read as texts: 0x4 means five zeros, and is a hexadecimal number to YAML.
        tests = yaml.load(test_path.read_text(), yaml.BaseLoader)
        for group in found["groups"]:
            group.pop("interval", None)
            group["rules"] = [{**rule, "expr": "vector(1)"} for rule in group["rules"]]
        for test in tests["tests"]:
            test["input_series"] = []
            test["alert_rule_test"] = [case for case in test["alert_rule_test"] if not case["exp_alerts"]]
        (tmp_path / path.name).write_text(yaml.safe_dump(found))
        (tmp_path / test_path.name).write_text(yaml.safe_dump(tests))
        command = [promtool, "test", "rules", str(tmp_path / test_path.name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        failed = set(re.findall(r"alertname: (\w+)", done.stdout + done.stderr))
        assert failed == {rule["alert"] for rule in rules(part) if rule["path"] == path} - {"Watchdog"}


def test_prometheus_takes_the_rules_with_their_pages(promtool: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    groups = [group for rule in rules_of(PARTS, "pages").values() for group in rule["groups"]]
    path.write_text(yaml.safe_dump({"groups": groups}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# Dashboard, panel, the measurements, and what the panel's first query finds.
FOUND: list[tuple[str, str, dict[str, str], list[dict[str, Any]]]] = [
    (
        "cluster",
        "Processors that pods have requested, of each node",
        {
            'kube_pod_container_resource_requests{pod="runs",node="n",resource="cpu"}': "1x5",
            'kube_pod_container_resource_requests{pod="done",node="n",resource="cpu"}': "2x5",
            'kube_pod_status_phase{pod="runs",phase="Pending"}': "0x5",
            'kube_pod_status_phase{pod="runs",phase="Running"}': "1x5",
            'kube_pod_status_phase{pod="done",phase="Running"}': "0x5",
            'kube_pod_status_phase{pod="done",phase="Succeeded"}': "1x5",
            'kube_node_status_allocatable{node="n",resource="cpu"}': "4x5",
        },
        [{"labels": '{node="n"}', "value": 0.25}],
    ),
    (
        "users",
        "Homes, the ten largest",
        {
            'dirsize_total_size_bytes{persistentvolumeclaim="claim-ada",node="one"}': "5x5",
            'dirsize_total_size_bytes{persistentvolumeclaim="data-store-0",node="one"}': "9x5",
        },
        [{"labels": '{persistentvolumeclaim="claim-ada"}', "value": 5}],
    ),
    (
        "users",
        "Written to disks, by server",
        {
            'container_fs_writes_bytes_total{pod="jupyter-ada",container="notebook"}': "0+60x5",
            # The pod as a whole, which the container runtime measures as well.
            'container_fs_writes_bytes_total{pod="jupyter-ada"}': "0+60x5",
        },
        [{"labels": '{pod="jupyter-ada"}', "value": 1}],
    ),
]


@pytest.mark.parametrize(
    ("board", "title", "series", "found"), FOUND, ids=[f"{board}-{title}" for board, title, *_ in FOUND]
)
def test_a_panel_finds_what_it_says(
    board: str,
    title: str,
    series: dict[str, str],
    found: list[dict[str, Any]],
    promtool: str,
    tmp_path: Path,
) -> None:
    [panel] = [panel for panel in boards_of(PARTS)[board]["panels"] if panel["title"] == title]
    expr = plain(panel["queries"][0]["expr"], "2m")
    asked = {"expr": expr, "eval_time": "4m", "exp_samples": found}
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": [asked]}
    path = tmp_path / "panel.test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Registry(Silent):
    """One port of a process that serves all that it counts at each of its ports."""

    def do_GET(self) -> None:
        """Serve the registry."""
        self.reply(200, REGISTRY, "text/plain; version=0.0.4")


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """The ports of a process like k3s: the API server's and the kubelet's."""
    servers = {job: ThreadingHTTPServer(("127.0.0.1", 0), Registry) for job in ("apiserver", "kubelet")}
    with ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(running(server))
        yield {job: server.server_port for job, server in servers.items()}


def asked(folder: Path, ports: dict[str, int], relabelings: dict[str, Any], query: str) -> int:
    """Return how many series a query finds, in a Prometheus that asks these ports."""
    jobs = [
        {
            "job_name": job,
            "scrape_interval": "1s",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            "metric_relabel_configs": [
                {"source_labels": rule["sourceLabels"], "action": rule["action"], "regex": rule["regex"]}
                for rule in relabelings.get(job, [])
            ],
        }
        for job, port in ports.items()
    ]
    with prometheus(folder, {"scrape_configs": jobs}) as address:
        wait_for(
            lambda: len(result(address, "up == 1")) == len(ports), "both ports were not asked", seconds=30
        )
        return len(result(address, query))


def test_one_registry_at_two_ports_is_stored_once(tmp_path: Path, ports: dict[str, int]) -> None:
    found = values()
    relabelings = {
        "apiserver": found["kubeApiServer"]["serviceMonitor"]["metricRelabelings"],
        "kubelet": found["kubelet"]["serviceMonitor"]["metricRelabelings"],
    }
    for name in ("kept", "count", "plain"):
        (tmp_path / name).mkdir()
    every = len(kept("apiserver")) + len(kept("kubelet"))
    assert asked(tmp_path / "kept", ports, relabelings, DUPLICATES) == 0
    assert asked(tmp_path / "count", ports, relabelings, SERIES) == every
    # The query finds duplicates where there are some.
    assert asked(tmp_path / "plain", ports, {}, DUPLICATES) > 0
