"""A platform that nobody uses: each panel has data, and nothing fires but the watchdog."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring.boards import plain
from tests.support.alerting import result
from tests.support.queries import FIRES, panels
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parts("monitoring")


def test_every_panel_has_data_or_says_why_not(prometheus: str, platform: dict[str, Any]) -> None:
    def empty() -> list[str]:
        return [
            f"{board}, {panel['title']}: {query['expr']}"
            for part in platform["parts"]
            for board, panel in panels(part)
            for query in panel["queries"]
            if not panel.get("may_be_empty") and not result(prometheus, plain(query["expr"], "2m"))
        ]

    wait_for(lambda: not empty(), lambda: f"panels without data: {empty()}", 180, every=5)


def test_nothing_has_fired_since_the_installation_but_the_watchdog(prometheus: str) -> None:
    assert result(prometheus, 'ALERTS{alertname="Watchdog",alertstate="firing"}')
    assert [each["metric"] for each in result(prometheus, f"max_over_time({FIRES}[2h])")] == []
