"""Alertmanager's configuration: who is told of which alerts, and the secrets that it needs for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The Secret with what nobody else may read, and where Alertmanager finds it.
SECRET = "monitoring-receivers"
FOLDER = f"/etc/alertmanager/secrets/{SECRET}"
WATCHDOG = "watchdog"
NOBODY = "null"  # the receiver of alerts that nobody is told of
# An alert that is told at once, and whose end is told soon. Alertmanager's own 30 s and 5 min tell both late.
TIMES = {"group_wait": "3s", "group_interval": "30s", "repeat_interval": "12h"}
SEVERITIES = ("critical", "warning", "info")
# The watchdog's message, once a minute. A group is looked at once in its interval, and its alert is told
# again only if the last message is older than repeat_interval by then. With equal times, each second look
# would be passed over (dedup_stage.go of Alertmanager).
EACH_MINUTE = {"group_interval": "1m", "repeat_interval": "50s"}
# type -> the key of a receiver that is secret, and the option of Alertmanager that names its file
HIDDEN = {
    "email": ("password", "auth_password_file"),
    "slack": ("url", "api_url_file"),
    "webhook": ("url", "url_file"),
}
# What a message in a chat says, in Alertmanager's templates.
SLACK = {
    "title": "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}",
    "text": "{{ range .Alerts }}{{ .Annotations.description }} {{ .Annotations.runbook_url }}\n{{ end }}",
}

Receiver = Mapping[str, Any]


def secrets(receivers: Sequence[Receiver], watchdog: str) -> dict[str, str]:
    """Return the files of the Secret: one for each receiver that has something secret."""
    found = {
        _name(number): str(each[HIDDEN[each["type"]][0]])
        for number, each in enumerate(receivers)
        if each.get(HIDDEN[each["type"]][0])
    }
    return found | ({WATCHDOG: watchdog} if watchdog else {})


def configuration(receivers: Sequence[Receiver], watchdog: str) -> dict[str, Any]:
    """Return `alertmanager.config` of the chart. Nothing in it is secret."""
    routes = [
        _watchdog_route(bool(watchdog)),
        *(_route(number, each) for number, each in enumerate(receivers)),
    ]
    named = [{"name": _name(number), **_settings(number, each)} for number, each in enumerate(receivers)]
    if watchdog:
        # The watchdog is no news for people: only that it comes counts.
        settings = {"url_file": f"{FOLDER}/{WATCHDOG}", "send_resolved": False}
        named.append({"name": WATCHDOG, "webhook_configs": [settings]})
    return {
        "route": {
            "receiver": NOBODY,
            "group_by": ["alertname", "namespace", "node"],
            **TIMES,
            "routes": routes,
        },
        "receivers": [{"name": NOBODY}, *named],
        "inhibit_rules": [
            # Who is told that a node is down need not be told what has gone with it.
            {
                "source_matchers": ['alertname = "NodeDown"'],
                "target_matchers": ['alertname =~ "NodeNotReady|TargetDown"'],
                "equal": ["node"],
            }
        ],
    }


def _watchdog_route(sent: bool) -> dict[str, Any]:
    times = EACH_MINUTE if sent else {}
    return {"receiver": WATCHDOG if sent else NOBODY, "matchers": ['alertname = "Watchdog"'], **times}


def _route(number: int, receiver: Receiver) -> dict[str, Any]:
    severities = receiver.get("severities")
    # Other rules of the cluster may have severities of their own, or none. That of the watchdog is `none`.
    wanted = f'severity =~ "{"|".join(severities)}"' if severities else 'severity != "none"'
    # `continue`: an alert goes to each receiver that wants it, not only to the first.
    return {"receiver": _name(number), "matchers": [wanted], "continue": True}


def _settings(number: int, receiver: Receiver) -> dict[str, Any]:
    kind = receiver["type"]
    key, option = HIDDEN[kind]
    settings: dict[str, Any] = {"send_resolved": True}
    if receiver.get(key):
        settings[option] = f"{FOLDER}/{_name(number)}"
    if kind == "email":
        settings |= {"to": receiver["to"], "from": receiver["from"], "smarthost": receiver["smarthost"]}
        if receiver.get("username"):
            settings["auth_username"] = receiver["username"]
        if receiver.get("without_tls"):
            settings["require_tls"] = False
    if kind == "slack":
        settings |= {"channel": receiver.get("channel", ""), **SLACK}
    return {f"{kind}_configs": [settings]}


def _name(number: int) -> str:
    """Return the name of a receiver, and of its file in the Secret."""
    return f"receiver-{number + 1}"
