"""The report: one page with all panels, that needs nothing else and shows no markup of others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.monitoring.prometheus import Prometheus
from ansible.module_utils.metalworks.monitoring.report import MOST_LINES, alive, legend, page, shown

ROOT = Path(__file__).resolve().parents[3]
BOARD = {"title": "Nodes", "description": "What they do."}


def drawn(panel: dict[str, Any], *lines: tuple[str, list[tuple[float, float]]]) -> str:
    return page("Ours", 0, [(BOARD, [({"title": "Memory", **panel}, list(lines))])])


def test_a_page_needs_nothing_else() -> None:
    text = drawn({}, ("one", [(0, 1), (15, 2)]))
    assert not re.findall(r"(?:src|href)=|url\(|@import|<script", text)
    assert 'points="0.0,75.0 560.0,0.0"' in text
    assert "1970-01-01 00:00 UTC" in text


def test_what_others_named_is_shown_as_text() -> None:
    text = drawn({}, ("<script>alert(1)</script>", [(0, 1)]))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_panel_without_data_says_why() -> None:
    assert "No server runs." in drawn({"may_be_empty": "No server runs."})
    assert "No data" in drawn({}, ("gone", []))


def test_a_number_is_the_newest_one() -> None:
    text = drawn({"kind": "stat", "unit": "percentunit"}, ("a", [(0, 1), (1, 0.5)]))
    assert '<div class="stat">50.0%</div>' in text


def test_a_number_whose_source_is_gone_is_not_shown_as_todays() -> None:
    text = page("Ours", 9000, [(BOARD, [({"title": "Memory", "kind": "stat"}, [("a", [(3600, 7)])])])])
    assert "No data since 01:00 UTC." in text and '"stat"' not in text


@pytest.mark.parametrize(("ends", "lives"), [([9000], True), ([100, 8800], True), ([100, 8600], False)])
def test_a_panel_lives_if_a_line_comes_up_to_now(ends: list[float], lives: bool) -> None:
    assert alive([("a", []), *(("b", [(0.0, 1.0), (end, 1.0)]) for end in ends)], 9000) is lives


def test_what_is_no_number_is_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [[0, "1"], [15, "NaN"], [30, "+Inf"], [45, "2"]]
    answer = {"data": {"result": [{"metric": {}, "values": values}]}}
    monkeypatch.setattr(Prometheus, "request", lambda *_, **__: answer)
    [(_, points)] = Prometheus("nowhere:1").lines({"title": "a", "queries": [{"expr": "a"}]}, 0, 60)
    assert points == [(0, 1), (45, 2)]


def test_many_lines_are_counted_and_the_highest_drawn() -> None:
    text = drawn({}, *((f"line {n}", [(0.0, float(n))]) for n in range(MOST_LINES + 3)))
    assert text.count("<polyline") == MOST_LINES
    assert "and 3 more" in text
    assert "line 10:" in text
    assert "line 0:" not in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.123, "percentunit", "12.3%"),
        (3 * 1024**3, "bytes", "3 GiB"),
        (2048, "Bps", "2 KiB/s"),
        (0.25, "s", "0.25 s"),
        (5, "reqps", "5/s"),
        (12, "short", "12"),
    ],
)
def test_a_number_has_its_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_a_line_is_named_by_its_labels() -> None:
    assert legend("{{node}} {{ mountpoint }}{{none}}", {"node": "one", "mountpoint": "/"}) == "one /"


def test_the_playbook_hands_the_dashboards_over() -> None:
    """Ansible packs a module without the files of the rooms, which would be empty for it."""
    play = yaml.safe_load((ROOT / "playbooks" / "report.yml").read_text())[0]
    [task] = [each["monitoring_report"] for each in play["tasks"] if "monitoring_report" in each]
    assert task["boards"] == "{{ metalworks_parts | monitoring_boards }}"
    assert "rooms" not in (ROOT / "library" / "monitoring" / "monitoring_report.py").read_text()
