"""Who is told of alerts: Alertmanager's configuration has no secret, and its Secret all of them."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.metalworks.monitoring.receivers import EACH_MINUTE, configuration, secrets

MAIL = {
    "type": "email",
    "to": "ops@example.org",
    "from": "watch@example.org",
    "smarthost": "mail.example:587",
    "username": "watch",
    "password": "mail-secret",
    "severities": ["critical"],
}
CHAT = {"type": "slack", "url": "https://chat.example/secret"}
HOOK = {"type": "webhook", "url": "https://pager.example/secret"}
ALL: list[dict[str, Any]] = [MAIL, CHAT, HOOK]
WATCH = "https://watch.example/secret"


def test_nobody_is_told_by_default() -> None:
    found = configuration([], "")
    assert found["receivers"] == [{"name": "null"}]
    assert found["route"]["routes"] == [{"receiver": "null", "matchers": ['alertname = "Watchdog"']}]
    assert secrets([], "") == {}


def test_no_secret_is_in_the_configuration() -> None:
    said = json.dumps(configuration(ALL, WATCH))
    assert "secret" not in said.replace("/etc/alertmanager/secrets/", "")
    assert secrets(ALL, WATCH) == {
        "receiver-1": "mail-secret",
        "receiver-2": CHAT["url"],
        "receiver-3": HOOK["url"],
        "watchdog": WATCH,
    }


def test_each_file_of_the_secret_is_named_where_it_is_used() -> None:
    said = json.dumps(configuration(ALL, WATCH))
    assert all(
        f"/etc/alertmanager/secrets/monitoring-receivers/{name}" in said for name in secrets(ALL, WATCH)
    )


def test_a_receiver_gets_its_severities_and_leaves_them_to_others() -> None:
    routes = configuration(ALL, "")["route"]["routes"][1:]
    assert [route["matchers"] for route in routes] == [
        ['severity =~ "critical"'],
        ['severity != "none"'],
        ['severity != "none"'],
    ]
    assert all(route["continue"] for route in routes)


def test_a_mail_server_without_login_gets_none() -> None:
    open_server = {key: value for key, value in MAIL.items() if key not in ("username", "password")}
    [_, mail] = configuration([open_server], "")["receivers"]
    assert mail["email_configs"] == [
        {
            "send_resolved": True,
            "to": "ops@example.org",
            "from": "watch@example.org",
            "smarthost": "mail.example:587",
        }
    ]
    assert secrets([open_server], "") == {}


def test_a_relay_without_tls_is_sent_to_as_it_is() -> None:
    [_, mail] = configuration([{**MAIL, "without_tls": True}], "")["receivers"]
    assert mail["email_configs"][0]["require_tls"] is False


def test_no_look_at_the_watchdog_is_passed_over() -> None:
    """Alertmanager tells again only what it told longer ago than repeat_interval."""
    route = configuration([], WATCH)["route"]["routes"][0]
    assert {key: route[key] for key in EACH_MINUTE} == EACH_MINUTE
    assert (EACH_MINUTE["group_interval"], EACH_MINUTE["repeat_interval"]) == ("1m", "50s")
