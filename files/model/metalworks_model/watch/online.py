"""The hit rate of each model version: what was shown, joined with what was bought then."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Iterable

import msgspec

from ..data.sources import fetch
from ..shop.events import Event
from .rates import Rate

WINDOW = 24 * 3600.0


def read_events(url: str, first: dt.date, last: dt.date) -> list[Event]:
    """Return the shop's events from one day to another; {day} in the address is the date."""
    events: list[Event] = []
    for number in range((last - first).days + 1):
        try:
            content = fetch(url.replace("{day}", str(first + dt.timedelta(number))))
        except FileNotFoundError:
            continue
        events += msgspec.json.Decoder(Event).decode_lines(content)
    return events


def hit_rates(
    events: Iterable[Event], window: float = WINDOW, by_customer: bool = False
) -> dict[tuple[str, str], Rate]:
    """Return the hit rate by model and version: of answers, or of the customers who were shown any.

    A purchase counts once: for the latest answer before it that showed the item to this customer, at most
    `window` seconds earlier. Which answer a click came from does not matter.
    """
    ordered = sorted(events, key=lambda each: (each.at, each.kind != "shown"))
    shown: dict[tuple[str, str], set[Hashable]] = defaultdict(set)
    hits: dict[tuple[str, str], set[Hashable]] = defaultdict(set)
    latest: dict[tuple[str, str], Event] = {}

    def unit(answer: Event) -> Hashable:
        return answer.customer if by_customer else (answer.request, answer.at)

    for each in ordered:
        if each.kind == "shown":
            shown[each.model, each.version].add(unit(each))
            for item in each.items:
                latest[each.customer, item] = each
        elif each.kind == "bought":
            for item in each.items:
                answer = latest.get((each.customer, item))
                if answer and each.at - answer.at <= window:
                    hits[answer.model, answer.version].add(unit(answer))
    return {key: Rate(len(hits[key]), len(units)) for key, units in shown.items()}
