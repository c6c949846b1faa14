"""The report opens in a browser as one page: all panels are there, and it asks for nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring import picture
from ansible.module_utils.metalworks.monitoring.parts import boards_of
from ansible.module_utils.metalworks.monitoring.report import page
from playwright.sync_api import Browser
from tests.support.queries import PARTS

NOW = 1_800_000_000.0
PNG = b"\x89PNG\r\n\x1a\n"


def lines(panel: dict[str, Any]) -> list[tuple[str, list[tuple[float, float]]]]:
    """Two hours of made-up values for a panel, none where it may be empty."""
    if panel.get("may_be_empty"):
        return []
    times = [NOW - 7200 + 60 * minute for minute in range(120)]
    return [
        (f"{panel['title']} of machine {number}", [(at, number + at // 60 % 7) for at in times])
        for number in range(1, 4)
    ]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The report of all parts."""
    drawn = [
        (board, [(panel, lines(panel)) for panel in board["panels"]]) for board in boards_of(PARTS).values()
    ]
    path = tmp_path / "report.html"
    path.write_text(page("The platform", NOW, drawn))
    return path


@pytest.mark.parametrize("width", [1280, 400], ids=["a_computer", "a_telephone"])
def test_every_panel_is_on_the_page_and_in_the_window(browser: Browser, report: Path, width: int) -> None:
    shown = browser.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(report.as_uri())
    titles = shown.locator("figcaption").all_inner_texts()
    assert titles == [panel["title"] for board in boards_of(PARTS).values() for panel in board["panels"]]
    assert asked == [report.as_uri()], "the page asks for more than itself"
    assert shown.evaluate("document.documentElement.scrollWidth") <= width, "it is wider than the window"
    shown.close()


def test_lines_lie_within_their_drawing(browser: Browser, report: Path) -> None:
    shown = browser.new_page()
    shown.goto(report.as_uri())
    outside = shown.evaluate(
        """() => [...document.querySelectorAll('polyline')].filter(line => {
            const inner = line.getBoundingClientRect(), outer = line.closest('svg').getBoundingClientRect();
            return inner.left < outer.left - 2 || inner.right > outer.right + 2
                || inner.top < outer.top - 2 || inner.bottom > outer.bottom + 2;
        }).length"""
    )
    assert shown.locator("polyline").count() > 20
    assert outside == 0
    shown.close()


def test_a_picture_shows_the_whole_page(report: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "report.png"
    # A thread of its own: the other tests' browser belongs to this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(picture.draw, report, drawn, picture.browser()).result()
    head = drawn.read_bytes()[:24]
    assert head.startswith(PNG)
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    assert width == picture.WIDTH
    assert height > 2000, "the page is longer than a window"
