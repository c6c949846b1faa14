"""The real Alertmanager with our configuration: who is told of what and when, and what a test alert tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring.alertmanager import Alertmanager, send_through
from tests.support import alerting
from tests.support.alerting import MailServer, Receiver
from tests.support.servers import running
from tests.support.waiting import wait_for

# From an alert's arrival at Alertmanager until the receiver has it: group_wait is 3 s.
SOON = 10


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    """A mail relay on the same network, as many sites have one."""
    server = MailServer()
    with running(server):
        yield server


@pytest.fixture(scope="module")
def alertmanager(
    receiver: Receiver, mails: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alertmanager]:
    """Alertmanager with receivers of each kind."""
    mail = {"type": "email", "to": "ops@example.org", "from": "watch@example.org", "severities": ["critical"]}
    receivers: list[dict[str, Any]] = [
        {"type": "webhook", "url": receiver.url("all")},
        {"type": "webhook", "url": receiver.url("critical"), "severities": ["critical"]},
        {"type": "slack", "url": receiver.url("slack"), "severities": ["info"], "channel": "#hub"},
        {"type": "webhook", "url": receiver.url("refused"), "severities": ["critical"]},
        {**mail, "smarthost": mails.address, "without_tls": True},
    ]
    folder = tmp_path_factory.mktemp("alertmanager")
    with alerting.alertmanager(folder, receivers, receiver.url("watchdog")) as address:
        yield Alertmanager(address)


def labels(severity: str, name: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity}


def test_an_alert_goes_to_each_receiver_of_its_severity_and_to_no_other(
    alertmanager: Alertmanager, receiver: Receiver, mails: MailServer
) -> None:
    given = time.time()
    for severity in ("critical", "warning"):
        alertmanager.give(labels(severity, f"Is{severity}"), {"description": "x"}, 60)
    wait_for(lambda: len(receiver.of("all")) >= 2 and receiver.of("critical"), "the alerts do not come", 30)
    assert {each["labels"]["alertname"] for each in receiver.of("all")} == {"Iscritical", "Iswarning"}
    assert {each["labels"]["alertname"] for each in receiver.of("critical")} == {"Iscritical"}
    wait_for(lambda: mails.messages, "no mail comes", 30)
    assert "To: ops@example.org" in mails.messages[0] and "Iscritical" in mails.messages[0]
    assert max(each["at"] for each in receiver.of("all")) - given <= SOON
    assert not [path for path, _, _ in receiver.told if path in ("/slack", "/watchdog")]


def test_a_chat_is_told_in_words(alertmanager: Alertmanager, receiver: Receiver) -> None:
    words = {"description": "The disk is full.", "runbook_url": "https://pages.example/DiskFull.md"}
    alertmanager.give(labels("info", "DiskFull"), words, 60)
    [message] = wait_for(
        lambda: [body for path, _, body in receiver.told if path == "/slack"], "the chat is not told", 30
    )
    [said] = message["attachments"]
    assert message["channel"] == "#hub"
    assert said["title"] == "FIRING: DiskFull"
    assert said["text"].strip() == "The disk is full. https://pages.example/DiskFull.md"


def test_the_watchdog_goes_each_minute_to_its_own_receiver_only(
    alertmanager: Alertmanager, receiver: Receiver
) -> None:
    alertmanager.give(labels("none", "Watchdog"), {}, 300)
    wait_for(lambda: len(receiver.of("watchdog")) >= 2, "the watchdog does not come twice", 150)
    first, second = (each["at"] for each in receiver.of("watchdog")[:2])
    assert 45 < second - first < 90
    assert "Watchdog" not in {each["labels"]["alertname"] for each in receiver.of("all")}


def test_a_test_alert_is_taken(alertmanager: Alertmanager, receiver: Receiver) -> None:
    assert send_through(alertmanager, labels("warning", "TestAlert"), 30) == {"receiver-1": "taken"}
    [told] = [each for each in receiver.of("all") if each["labels"]["alertname"] == "TestAlert"]
    assert told["annotations"]["summary"] == "This is a test."


def test_a_second_test_alert_is_taken_as_well(alertmanager: Alertmanager) -> None:
    """Somebody has mended one receiver and tries again: the others are not said to refuse."""
    assert send_through(alertmanager, labels("warning", "TestAlert"), 60) == {"receiver-1": "taken"}


def test_a_test_alert_tells_who_does_not_take_it(alertmanager: Alertmanager) -> None:
    found = send_through(alertmanager, labels("critical", "TestAlert2"), 15)
    assert {found[name] for name in ("receiver-1", "receiver-2", "receiver-5")} == {"taken"}
    assert found["receiver-4"].startswith("refused or not reached, ")
    assert not found["receiver-4"].startswith("refused or not reached, 0")
    assert set(found) == {"receiver-1", "receiver-2", "receiver-4", "receiver-5"}


def test_the_end_of_a_test_alert_is_told(alertmanager: Alertmanager, receiver: Receiver) -> None:
    """It ended by itself, and the group's interval is 30 s."""
    alertmanager.give(labels("warning", "Short"), {}, 8)
    wait_for(
        lambda: [each for each in receiver.of("all", "resolved") if each["labels"]["alertname"] == "Short"],
        "its end is not told",
        90,
    )
