"""A test alert: who was told, who was not, and what Alertmanager counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring import alertmanager
from ansible.module_utils.metalworks.monitoring.alertmanager import Alertmanager, Count, counts, send_through
from ansible.module_utils.metalworks.monitoring.receivers import SEVERITIES
from library.monitoring.monitoring_test_alert import ARGUMENTS

MEASUREMENTS = """# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration="webhook",receiver_name="receiver-1"} 5
alertmanager_notification_requests_failed_total{integration="webhook",receiver_name="receiver-1"} 2
alertmanager_notification_requests_total{integration="email",receiver_name="receiver-2"} 1
alertmanager_notifications_total{integration="email",receiver_name="receiver-2"} 9
alertmanager_notification_requests_total{integration="email"} 7
"""
LABELS = {"alertname": "TestAlert", "severity": "warning"}


class Scripted(Alertmanager):
    """Answers what the test says, one measurement after the other; the last one stays."""

    def __init__(self, receivers: list[str], *measured: Mapping[str, Count]) -> None:
        super().__init__("nowhere:1")
        self.receivers, self.measured, self.given = receivers, list(measured), []

    def request(self, method: str, path: str, body: Any = None, *rest: Any, **query: Any) -> Any:
        """Take an alert, or list it with a foreign one."""
        if method == "POST":
            self.given += body
            return None
        names = [{"name": name} for name in self.receivers]
        other = {"labels": {"alertname": "Other"}, "receivers": [{"name": "receiver-9"}]}
        return [other, *({"labels": each["labels"], "receivers": names} for each in self.given)]

    def counts(self) -> dict[str, Count]:
        """Return the next measurement."""
        return dict(self.measured.pop(0) if len(self.measured) > 1 else self.measured[0])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time passes only while somebody sleeps."""
    now = [0.0]
    monkeypatch.setattr(alertmanager.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(alertmanager.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    yield


def test_an_alert_may_have_each_severity() -> None:
    assert ARGUMENTS["severity"]["choices"] == list(SEVERITIES)


def test_requests_are_counted_by_receiver() -> None:
    assert counts(MEASUREMENTS) == {"receiver-1": Count(3, 2), "receiver-2": Count(1, 0)}


def test_who_takes_it_is_named() -> None:
    found = Scripted(
        ["receiver-1"], {"receiver-1": Count(3)}, {"receiver-1": Count(3)}, {"receiver-1": Count(4)}
    )
    assert send_through(found, LABELS, 60) == {"receiver-1": "taken"}
    (given,) = found.given
    assert given["labels"].items() > LABELS.items(), "and what tells it from the last one"
    assert "test" in given["annotations"]["summary"]


def test_who_refuses_it_is_named_in_the_end() -> None:
    before = {"receiver-1": Count(), "receiver-2": Count(5)}
    after = {"receiver-1": Count(0, 4), "receiver-2": Count(6)}
    found = Scripted(["receiver-1", "receiver-2"], before, after)
    assert send_through(found, LABELS, 5) == {
        "receiver-1": "refused or not reached, 4 times",
        "receiver-2": "taken",
    }


def test_a_success_after_a_failure_is_one() -> None:
    found = Scripted(["receiver-1"], {}, {"receiver-1": Count(0, 1)}, {"receiver-1": Count(1, 1)})
    assert send_through(found, LABELS, 60) == {"receiver-1": "taken"}


def test_nobody_is_told_where_there_is_no_receiver() -> None:
    assert send_through(Scripted(["null"], {}), LABELS, 60) == {}
