"""What each part brings to be watched: the files below files/monitoring/<part>.

monitors.yml          how Prometheus finds the part (ServiceMonitor, PodMonitor)
rules/<topic>.yml     alerts, in the form that promtool reads; <topic>.test.yml is their test
dashboards/<name>.yml panels (boards.py)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.yaml_text import read_yaml

FILES = Path(__file__).resolve().parents[3] / "files" / "monitoring"
# The measurements that are kept of sources which no part owns, by source.
KEPT = FILES / "metrics.yml"
TEST = ".test.yml"
# Rules about what does not answer look at the last 20 s, also in a Prometheus that somebody else has set up.
INTERVAL = "15s"

Rules = dict[str, dict[str, Any]]


def rules_of(parts: Iterable[str], runbooks: str) -> Rules:
    """Return the rules of some parts as `additionalPrometheusRulesMap` of the chart has them.

    Each alert learns where its page is: the address `runbooks`, with the alert's name and `.md`.
    """
    found: Rules = {}
    for part in parts:
        for path in files_of(part, "rules"):
            groups = read_yaml(path.read_text())["groups"]
            for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
                rule["annotations"]["runbook_url"] = f"{runbooks.rstrip('/')}/{rule['alert']}.md"
            found[f"{part}-{path.stem}".replace("_", "-")] = {"groups": groups}
    return found


def monitors_of(
    parts: Iterable[str], kind: str, namespaces: Mapping[str, str], words: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the monitors of one kind as the chart's `additionalServiceMonitors` (PodMonitors) has them.

    `words` replace what stands in braces in the paths of the endpoints.
    """
    found = []
    for part in parts:
        path = FILES / part / "monitors.yml"
        for entry in read_yaml(path.read_text()) if path.exists() else []:
            if entry.pop("kind") == kind:
                for endpoint in entry.get("endpoints", []) + entry.get("podMetricsEndpoints", []):
                    endpoint.setdefault("interval", INTERVAL)
                    if "path" in endpoint:
                        endpoint["path"] = endpoint["path"].format(**words)
                found.append({**entry, "namespaceSelector": {"matchNames": [namespaces[part]]}})
    return found


def boards_of(parts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the dashboards of some parts, by name."""
    return {path.stem: read_yaml(path.read_text()) for part in parts for path in files_of(part, "dashboards")}


def kept(source: str) -> list[str]:
    """Return the names of the measurements that are kept of a source."""
    names: list[str] = read_yaml(KEPT.read_text())[source]
    return names


def keeping(source: str) -> list[dict[str, Any]]:
    """Return the relabelling that keeps these measurements and drops all others."""
    return [{"sourceLabels": ["__name__"], "action": "keep", "regex": "|".join(kept(source))}]


def collectors(source: str) -> list[str]:
    """Return the kinds of objects that kube-state-metrics looks at for these measurements: pods, nodes."""
    return sorted({f"{name.split('_')[1]}s" for name in kept(source)})


def files_of(part: str, kind: str) -> Iterator[Path]:
    """Yield the files of one kind of a part, without the tests of rules."""
    paths = sorted((FILES / part / kind).glob("*.yml"))
    yield from (path for path in paths if not path.name.endswith(TEST))
