"""Dashboards: a short description of panels, and Grafana's JSON of it.

A board has title, description and panels. A panel has a title and queries (expr, legend). It may have a unit
(Grafana's name of it), kind `stat` for one number in place of lines, `signed` if values can be below
zero, and `may_be_empty`, the reason for which it has no data on an idle platform.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WIDTH = 24  # of Grafana's grid
SIZES = {"stat": (6, 4), "timeseries": (12, 8)}
LINES = "timeseries"
# Grafana fills the source of data in where the dashboard is shown.
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Board = Mapping[str, Any]


def grafana(name: str, board: Board) -> dict[str, Any]:
    """Return a dashboard in Grafana's classic form."""
    return {
        "uid": name,
        "title": board["title"],
        "description": board["description"],
        "tags": ["metalworks"],
        "schemaVersion": 39,
        "editable": False,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": _panels(board),
    }


def plain(expr: str, interval: str) -> str:
    """Return a query for Prometheus itself, which does not know Grafana's word for a fitting range."""
    return re.sub(r"\$__rate_interval\b", interval, expr)


def _panels(board: Board) -> list[dict[str, Any]]:
    """Place the panels from left to right, in rows."""
    panels: list[dict[str, Any]] = []
    x = y = row = 0
    for number, panel in enumerate(board["panels"], 1):
        width, height = SIZES[panel.get("kind", LINES)]
        if x + width > WIDTH:
            x, y, row = 0, y + row, 0
        panels.append(_panel(number, panel, {"x": x, "y": y, "w": width, "h": height}))
        x, row = x + width, max(row, height)
    return panels


def _panel(number: int, panel: Mapping[str, Any], place: dict[str, int]) -> dict[str, Any]:
    empty = panel.get("may_be_empty")
    least = {} if panel.get("signed") else {"min": 0}
    return {
        "id": number,
        "title": panel["title"],
        "type": panel.get("kind", LINES),
        "description": f"May be empty: {empty}" if empty else "",
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.get("unit", "short"), **least}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + position),
                "datasource": SOURCE,
                "expr": query["expr"],
                "legendFormat": query.get("legend", panel["title"]),
            }
            for position, query in enumerate(panel["queries"])
        ],
    }
