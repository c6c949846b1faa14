"""Shares that were counted, and how sure they are."""

from __future__ import annotations

import math

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """How many of some things are of a kind."""

    some: int
    of: int

    @property
    def value(self) -> float:
        """The share; 0 where there is nothing."""
        return self.some / self.of if self.of else 0.0

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Return the interval of Wilson (1927), which holds for few things as well; (0, 1) for none."""
        if not self.of:
            return 0.0, 1.0
        n, p = self.of, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def __str__(self) -> str:
        """Return it as 3 of 120 (2.5 %)."""
        return f"{self.some} of {self.of} ({self.value:.1%})"


def difference(one: Rate, other: Rate, factor: float = 1.0, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of `one - factor * other`, of independent rates.

    It is put together from Wilson's intervals of both, which holds for rare things too: method 10 of
    Newcombe, Statistics in Medicine 17 (1998) 873-890; with a factor, Zou and Donner, the same journal 27
    (2008) 1693-1702.
    """
    (low, high), (other_low, other_high) = one.interval(z), other.interval(z)
    middle = one.value - factor * other.value
    return (
        middle - math.hypot(one.value - low, factor * (other_high - other.value)),
        middle + math.hypot(high - one.value, factor * (other.value - other_low)),
    )
