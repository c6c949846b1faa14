"""Ask Alertmanager: give it an alert, and see who was told of it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..kubernetes.forward import PodApi
from .receivers import NOBODY

LONGER = 30  # seconds that a test alert lasts after the wait for its receivers
# What Alertmanager counts of its requests to receivers, by the receiver's name (notify/metrics.go of
# Alertmanager 0.27 and later, with the feature receiver-name-in-metrics).
REQUESTS = "alertmanager_notification_requests_total"
REFUSED = "alertmanager_notification_requests_failed_total"
SAMPLE = re.compile(r"(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Count:
    """How many requests one receiver took, and how many failed."""

    taken: int = 0
    failed: int = 0


class Alertmanager(PodApi):
    """A client of Alertmanager's API, version 2."""

    selector, port = "app.kubernetes.io/name=alertmanager", 9093
    whose = "Alertmanager's"

    def give(self, labels: Mapping[str, str], annotations: Mapping[str, str], seconds: float) -> None:
        """Give it an alert that ends by itself after some seconds."""
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        alert = {"labels": dict(labels), "annotations": dict(annotations), "endsAt": ends.isoformat()}
        self.request("POST", "/api/v2/alerts", [alert])

    def told_of(self, labels: Mapping[str, str]) -> list[str]:
        """Return the names of the receivers to which an alert with these labels goes."""
        found = self.request("GET", "/api/v2/alerts")
        return sorted(
            {
                receiver["name"]
                for alert in found
                if labels.items() <= alert["labels"].items()
                for receiver in alert["receivers"]
            }
        )

    def counts(self) -> dict[str, Count]:
        """Return what was sent to each receiver since Alertmanager started."""
        return counts(self.request("GET", "/metrics"))

    def _parse(self, text: str, content_type: str) -> Any:
        return text if content_type.startswith("text/plain") else super()._parse(text, content_type)


def counts(text: str) -> dict[str, Count]:
    """Return the requests to each receiver from Alertmanager's measurements."""
    sums: dict[str, dict[str, int]] = {}
    for sample in SAMPLE.finditer(text):
        receiver = dict(LABEL.findall(sample["labels"])).get("receiver_name")
        if receiver and sample["name"] in (REQUESTS, REFUSED):
            of = sums.setdefault(receiver, {REQUESTS: 0, REFUSED: 0})
            of[sample["name"]] += int(float(sample["value"]))
    return {name: Count(of[REQUESTS] - of[REFUSED], of[REFUSED]) for name, of in sums.items()}


def without_success(
    receivers: Sequence[str], before: Mapping[str, Count], after: Mapping[str, Count]
) -> list[str]:
    """Return the receivers that have taken no request in between."""
    none = Count()
    return [each for each in receivers if after.get(each, none).taken <= before.get(each, none).taken]


def send_through(alertmanager: Alertmanager, labels: Mapping[str, str], seconds: float) -> dict[str, str]:
    """Give Alertmanager an alert, wait until it has told everybody, and return what became of each receiver.

    `taken`, or why not. Without any receiver the answer is empty.
    """
    annotations = {
        "summary": "This is a test.",
        "description": "Somebody tries whether alerts reach you. Nothing is wrong.",
    }
    # Alertmanager tells of an alert that it knows only hours later, and somebody may try twice in a minute.
    labels = {**labels, "tried_at": datetime.now(UTC).isoformat()}
    before, end = alertmanager.counts(), time.monotonic() + seconds
    # It outlasts the wait: Alertmanager lists no alert that is over.
    alertmanager.give(labels, annotations, seconds + LONGER)
    while True:
        # An alert that nobody is told of goes to the receiver `null`, so that there is none only at first.
        names, after = alertmanager.told_of(labels), alertmanager.counts()
        receivers = [each for each in names if each != NOBODY]
        missing = without_success(receivers, before, after)
        if (names and not missing) or time.monotonic() > end:
            break
        time.sleep(1)
    none = Count()
    refused = {each: after.get(each, none).failed - before.get(each, none).failed for each in missing}
    return {
        each: "taken" if each not in refused else f"refused or not reached, {refused[each]} times"
        for each in receivers
    }
