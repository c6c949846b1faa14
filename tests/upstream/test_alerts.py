"""The real Alertmanager with our configuration: who is told of what and when, and what a test alert tells."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
import requests
import yaml
from ansible.module_utils.metalworks.monitoring.alertmanager import Alertmanager, send_through
from ansible.module_utils.metalworks.monitoring.receivers import FOLDER, configuration, secrets
from tests.support.artifacts import built_path
from tests.support.servers import Silent, running
from tests.support.waiting import wait_for

# From an alert's arrival at Alertmanager until the receiver has it: group_wait is 5 s.
SOON = 10


class Receiver(ThreadingHTTPServer):
    """Takes messages, and remembers each with its path and time; the path `refused` is answered with 500."""

    def __init__(self) -> None:
        """Listen at a free port of this computer."""
        super().__init__(("127.0.0.1", 0), Answers)
        self.told: list[tuple[str, float, dict[str, Any]]] = []

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def of(self, path: str, status: str = "firing") -> list[dict[str, Any]]:
        """Return the alerts that a path was told of, with the time."""
        return [
            {**alert, "at": at}
            for where, at, message in self.told
            for alert in message.get("alerts", [])
            if where == f"/{path}" and alert["status"] == status
        ]


class Answers(Silent):
    """Answers one request."""

    server: Receiver

    def do_POST(self) -> None:
        """Take a message, or refuse it."""
        self.server.told.append((self.path, time.time(), self.sent()))
        self.reply(500 if self.path == "/refused" else 200, {})


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    with running(found):
        yield found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def alertmanager(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """Alertmanager with a receiver of each kind that needs no mail server, as the operator starts it."""
    folder = tmp_path_factory.mktemp("alertmanager")
    receivers = [
        {"type": "webhook", "url": receiver.url("all")},
        {"type": "webhook", "url": receiver.url("critical"), "severities": ["critical"]},
        {"type": "slack", "url": receiver.url("slack"), "severities": ["info"], "channel": "#hub"},
        {"type": "webhook", "url": receiver.url("refused"), "severities": ["critical"]},
    ]
    for name, text in secrets(receivers, receiver.url("watchdog")).items():
        (folder / name).write_text(text)
    settings = yaml.safe_dump(configuration(receivers, receiver.url("watchdog")))
    (folder / "alertmanager.yml").write_text(settings.replace(FOLDER, str(folder)))
    port = free_port()
    command = [
        str(built_path("alertmanager")),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--enable-feature=receiver-name-in-metrics",
        "--log.level=error",
    ]
    with subprocess.Popen(command) as program:
        try:
            url = f"http://127.0.0.1:{port}/-/ready"

            def ready() -> bool:
                try:
                    return requests.get(url, timeout=5).ok
                except requests.RequestException:
                    return False

            wait_for(ready, "Alertmanager does not start", 30)
            yield Alertmanager(f"127.0.0.1:{port}")
        finally:
            program.terminate()


def labels(severity: str, name: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity}


def test_an_alert_goes_to_each_receiver_of_its_severity_and_to_no_other(
    alertmanager: Alertmanager, receiver: Receiver
) -> None:
    given = time.time()
    for severity in ("critical", "warning"):
        alertmanager.give(labels(severity, f"Is{severity}"), {"description": "x"}, 60)
    wait_for(lambda: len(receiver.of("all")) >= 2 and receiver.of("critical"), "the alerts do not come", 30)
    assert {each["labels"]["alertname"] for each in receiver.of("all")} == {"Iscritical", "Iswarning"}
    assert {each["labels"]["alertname"] for each in receiver.of("critical")} == {"Iscritical"}
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


def test_the_watchdog_goes_to_its_own_receiver_only(alertmanager: Alertmanager, receiver: Receiver) -> None:
    alertmanager.give(labels("none", "Watchdog"), {}, 300)
    wait_for(lambda: receiver.of("watchdog"), "the watchdog does not come", 30)
    assert "Watchdog" not in {each["labels"]["alertname"] for each in receiver.of("all")}


def test_a_test_alert_is_taken(alertmanager: Alertmanager, receiver: Receiver) -> None:
    assert send_through(alertmanager, labels("warning", "TestAlert"), 30) == {"receiver-1": "taken"}
    [told] = [each for each in receiver.of("all") if each["labels"]["alertname"] == "TestAlert"]
    assert told["annotations"]["summary"] == "This is a test."


def test_a_test_alert_tells_who_does_not_take_it(alertmanager: Alertmanager) -> None:
    found = send_through(alertmanager, labels("critical", "TestAlert2"), 15)
    assert (found["receiver-1"], found["receiver-2"]) == ("taken", "taken")
    assert found["receiver-4"].startswith("refused or not reached, ")
    assert not found["receiver-4"].startswith("refused or not reached, 0")
    assert set(found) == {"receiver-1", "receiver-2", "receiver-4"}


def test_the_end_of_a_test_alert_is_told(alertmanager: Alertmanager, receiver: Receiver) -> None:
    """It ended by itself, and the group's interval is 30 s."""
    alertmanager.give(labels("warning", "Short"), {}, 8)
    wait_for(
        lambda: [each for each in receiver.of("all", "resolved") if each["labels"]["alertname"] == "Short"],
        "its end is not told",
        90,
    )
