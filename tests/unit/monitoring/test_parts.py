"""What each part brings to be watched: alerts with a test and a page, panels, and known measurements."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.monitoring.boards import SIZES, grafana, plain
from ansible.module_utils.metalworks.monitoring.parts import (
    FILES,
    KEPT,
    boards_of,
    collectors,
    keeping,
    kept,
    monitors_of,
    rules_of,
)
from tests.support.modules import ROOT
from tests.support.queries import PARTS, asked, names, panels, rules, seconds, values

SOURCES = list(yaml.safe_load(KEPT.read_text()))
ALERTS = [rule for part in PARTS for rule in rules(part)]
PANELS = [(board, panel) for part in PARTS for board, panel in panels(part)]
PAGES = ROOT / "docs" / "how-to" / "alerts"
# What always fires has no silent case.
ALWAYS = {"Watchdog"}
# How names begin of what belongs to no part. The others come by the monitors of parts, which drop nothing.
SHARED = ("apiserver_", "etcd_", "kubelet_", "container_", "node_", "kube_", "dirsize_")

each_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
each_panel = pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board}-{panel['title']}" for board, panel in PANELS]
)


@cache
def rule_tests(path: Path) -> list[dict[str, Any]]:
    """Return what a file tests. All scalars are texts: YAML takes 0x4, four more zeros, for a number."""
    return yaml.load(path.read_text(), yaml.CBaseLoader)["tests"]


def cases(rule: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the cases of an alert in its rules' test, each after the test that it stands in."""
    return [
        (test, case)
        for test in rule_tests(rule["path"].with_suffix("").with_suffix(".test.yml"))
        for case in test["alert_rule_test"]
        if case["alertname"] == rule["alert"]
    ]


def could_fire(rule: dict[str, Any], test: dict[str, Any], case: dict[str, Any]) -> bool:
    """Return whether a case is late enough for the alert, and has something that the alert judges.

    That is a measurement of its expression which has two values or more by then, as `rate` needs, and one
    within the five minutes before, after which Prometheus forgets it.
    """
    at = seconds(str(case["eval_time"]))
    step = seconds(test["interval"])
    judged = names(rule["expr"])
    for each in test["input_series"]:
        if each["series"].split("{")[0] in judged:
            there = [number * step for number, value in enumerate(values(each["values"])) if value]
            before = [time for time in there if time <= at]
            if len(before) > 1 and at - before[-1] < 300:
                return at >= seconds(rule.get("for", "0s"))
    return False


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up == 0", {"up"}),
        ('sum by (node) (rate(a_total{b="c_d"}[5m])) / on (node) max by (node) (e)', {"a_total", "e"}),
        ('absent(up{job="x"} == 1) or vector(0)', {"up"}),
        ("a > 1.6e9", {"a"}),
        ("rate(a[$__rate_interval])", {"a"}),
    ],
)
def test_a_querys_measurements_are_found(query: str, found: set[str]) -> None:
    assert names(query) == found


def test_no_alert_has_the_name_of_another() -> None:
    said = [rule["alert"] for rule in ALERTS]
    assert len(said) > 30
    assert len(said) == len(set(said))


@each_alert
def test_an_alert_says_what_is_wrong_and_how_bad_it_is(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert all(text.endswith(".") for text in rule["annotations"].values())


@each_alert
def test_an_alert_has_a_page_that_leads_from_its_meaning_to_its_end(rule: dict[str, Any]) -> None:
    page = (PAGES / f"{rule['alert']}.md").read_text()
    assert page.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert f"[{rule['alert']}]({rule['alert']}.md)" in (PAGES / "README.md").read_text()


def test_no_page_is_left_of_an_alert_that_is_gone() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {"README", *(rule["alert"] for rule in ALERTS)}


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("1x2", [True, True, True]),
        ("_x2 1", [False, False, True]),
        ("0+1x1 5 stale", [True, True, True, False]),
        ("100-1x1 _ 1e9x0", [True, True, False, True]),
    ],
)
def test_the_values_of_a_rules_test_are_counted_as_promtool_does(text: str, there: list[bool]) -> None:
    assert values(text) == there


@each_alert
def test_an_alert_has_a_test_in_which_it_fires(rule: dict[str, Any]) -> None:
    assert [case for _, case in cases(rule) if case["exp_alerts"]]


@each_alert
def test_an_alert_has_a_test_in_which_it_could_fire_and_is_silent(rule: dict[str, Any]) -> None:
    """Before its `for` is over, and without measurements, each alert is silent: such a case shows nothing."""
    if rule["alert"] not in ALWAYS:
        silent = [(test, case) for test, case in cases(rule) if not case["exp_alerts"]]
        assert [case for test, case in silent if could_fire(rule, test, case)]


@each_alert
def test_an_alert_that_may_not_wait_is_evaluated_often(rule: dict[str, Any]) -> None:
    if rule["labels"]["severity"] == "critical" and seconds(rule.get("for", "0s")) < 120:
        assert rule["interval"] == "10s"


@pytest.mark.parametrize("part", PARTS)
def test_every_measurement_that_is_asked_for_is_kept(part: str) -> None:
    known = {name for source in SOURCES for name in kept(source)}
    shared = {name: place for name, place in asked(part).items() if name.startswith(SHARED)}
    assert {name: place for name, place in shared.items() if name not in known} == {}


def test_every_name_that_is_kept_is_known_to_be_shared() -> None:
    assert [name for source in SOURCES for name in kept(source) if not name.startswith(SHARED)] == []


def test_nothing_is_kept_that_nobody_asks_for() -> None:
    used = {name for part in PARTS for name in asked(part)}
    assert [name for source in SOURCES for name in kept(source) if name not in used] == []


def test_no_source_keeps_what_another_one_keeps() -> None:
    """On k3s the API server's port and the kubelet's serve the same measurements."""
    every = [name for source in SOURCES for name in kept(source)]
    assert len(every) == len(set(every))
    [relabelling] = keeping("kubelet")
    assert not [name for name in kept("apiserver") if re.fullmatch(relabelling["regex"], name)]


def test_the_kinds_of_objects_are_those_of_the_measurements() -> None:
    assert collectors("kube_state") == [
        *("daemonsets", "deployments", "horizontalpodautoscalers", "jobs", "nodes", "persistentvolumeclaims"),
        *("pods", "statefulsets"),
    ]


def test_a_rule_names_the_page_of_its_alert() -> None:
    found = rules_of(["mlflow"], "https://pages.example/alerts/")["mlflow-mlflow"]["groups"][0]["rules"][0]
    assert found["annotations"]["runbook_url"] == "https://pages.example/alerts/MlflowDown.md"


def test_a_monitor_looks_in_the_parts_namespace() -> None:
    words = {"hub_base_url": "/hub-of-ours/"}
    [hub] = monitors_of(
        ["jupyterhub", "mlflow"], "ServiceMonitor", {"jupyterhub": "a", "mlflow": "b"}, words
    )[:1]
    assert hub["namespaceSelector"] == {"matchNames": ["a"]}
    assert hub["endpoints"][0]["path"] == "/hub-of-ours/hub/metrics"
    [proxy] = monitors_of(["jupyterhub", "mlflow"], "PodMonitor", {"jupyterhub": "a", "mlflow": "b"}, words)
    assert proxy["name"] == "proxy"


@pytest.mark.parametrize("part", [part for part in PARTS if (FILES / part / "monitors.yml").exists()])
def test_a_target_names_its_node(part: str) -> None:
    """TargetDown and Alertmanager know by it which targets have gone with their node."""
    words = {"hub_base_url": "/"}
    monitors = [
        monitor
        for kind in ("ServiceMonitor", "PodMonitor")
        for monitor in monitors_of([part], kind, {part: "a"}, words)
    ]
    assert monitors
    for monitor in monitors:
        for endpoint in [*monitor.get("endpoints", []), *monitor.get("podMetricsEndpoints", [])]:
            node = {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
            assert node in endpoint["relabelings"], monitor["name"]


def test_a_part_without_a_room_brings_nothing() -> None:
    assert rules_of(["unwatched"], "") == {}
    assert boards_of(["unwatched"]) == {}
    assert monitors_of(["unwatched"], "ServiceMonitor", {}, {}) == []


@each_panel
def test_a_panel_says_what_it_shows(board: str, panel: dict[str, Any]) -> None:
    assert set(panel) <= {"title", "kind", "unit", "signed", "may_be_empty", "queries"}, board
    assert panel["title"]
    assert panel.get("kind", "timeseries") in SIZES
    assert all(set(query) <= {"expr", "legend"} and names(query["expr"]) for query in panel["queries"])
    assert "$" not in plain("; ".join(query["expr"] for query in panel["queries"]), "1m")


def test_grafana_gets_a_dashboard_of_its_form() -> None:
    found = grafana("hub", boards_of(["jupyterhub"])["hub"])
    assert found["uid"] == "hub"
    places = [panel["gridPos"] for panel in found["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    taken = [
        (x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])
    ]
    assert len(taken) == len(set(taken)), "two panels lie on each other"
    assert {target["datasource"]["uid"] for panel in found["panels"] for target in panel["targets"]} == {
        "${datasource}"
    }


def test_what_may_be_below_zero_is_not_cut_off() -> None:
    panels = grafana("node", boards_of(["monitoring"])["node"])["panels"]
    free = [panel["title"] for panel in panels if "min" not in panel["fieldConfig"]["defaults"]]
    assert free == ["Clock, away from its time server"]


def test_a_room_holds_nothing_else() -> None:
    known = re.compile(r"monitors\.yml|rules/\w+(\.test)?\.yml|dashboards/\w+\.yml")
    for part in PARTS:
        files = [str(path.relative_to(FILES / part)) for path in (FILES / part).rglob("*") if path.is_file()]
        assert [name for name in files if not known.fullmatch(name)] == []
