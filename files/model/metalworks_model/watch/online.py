"""The hit rate of each model version: what was shown, joined with what was bought then."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..shop.events import Event

WINDOW = 24 * 3600.0


@dataclass(frozen=True)
class HitRate:
    """How many answers were shown, and how many had an item that the customer bought within the window."""

    shown: int
    hits: int

    @property
    def rate(self) -> float:
        """The share of answers with a hit; 0 where none was shown."""
        return self.hits / self.shown if self.shown else 0.0

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Return the interval of Wilson (1927), which holds for few answers as well; (0, 1) for none."""
        if not self.shown:
            return 0.0, 1.0
        n, p = self.shown, self.rate
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)


def hit_rates(events: Iterable[Event], window: float = WINDOW) -> dict[tuple[str, str], HitRate]:
    """Return the hit rate by model and version.

    A purchase counts once: for the latest answer before it that showed the item to this customer, at most
    `window` seconds earlier. Which answer a click came from does not matter.
    """
    ordered = sorted(events, key=lambda each: (each.at, each.kind != "shown"))
    shown: dict[tuple[str, str], int] = defaultdict(int)
    hits: dict[tuple[str, str], set[tuple[str, float]]] = defaultdict(set)
    latest: dict[tuple[str, str], Event] = {}
    for each in ordered:
        if each.kind == "shown":
            shown[each.model, each.version] += 1
            for item in each.items:
                latest[each.customer, item] = each
        elif each.kind == "bought":
            for item in each.items:
                answer = latest.get((each.customer, item))
                if answer and each.at - answer.at <= window:
                    hits[answer.model, answer.version].add((answer.request, answer.at))
    return {key: HitRate(count, len(hits[key])) for key, count in shown.items()}
