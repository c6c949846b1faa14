"""How far the days of late are from those before: population stability index and Jensen-Shannon distance.

The index is sum (p - q) ln(p / q) over bins. Small samples are never equal: with 50 bins and 500 rows the
index of the same distribution reaches 0.15. So the number of bins is small, and too few rows say nothing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
FLOOR = 1e-4
TOP = 49
BINS = 10
# What each kind of model sees of a line. Other inputs are shown, and their drift retrains nothing: in the
# months of the reference shop, countries alone drift on a third of the days.
USED = {"recommender": {"item"}, "anomalies": {"item", "quantity", "unit_price"}}


def _shares(counts: Array) -> Floats:
    total = counts.sum()
    return np.maximum(counts / total, FLOOR) if total else np.full(len(counts), 1 / len(counts))


def psi(reference: Array, recent: Array) -> float:
    """Return the population stability index of counts in the same bins; shares have a floor of 0.0001."""
    before, after = _shares(np.asarray(reference, float)), _shares(np.asarray(recent, float))
    return float(((after - before) * np.log(after / before)).sum())


def jensen_shannon(reference: Array, recent: Array) -> float:
    """Return the Jensen-Shannon distance (base 2: from 0 to 1) of counts in the same bins."""
    before, after = (np.asarray(each, float) / max(np.sum(each), 1e-300) for each in (reference, recent))
    middle = (before + after) / 2

    def divergence(part: Floats) -> float:
        some = part > 0
        return float((part[some] * np.log2(part[some] / middle[some])).sum())

    return float(np.sqrt(max((divergence(before) + divergence(after)) / 2, 0.0)))


def bins_of_names(reference: list[str], recent: list[str]) -> tuple[Array, Array]:
    """Count the most frequent names of the reference, and all others together."""
    names, counts = np.unique(np.array(reference, str), return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")[:TOP]]
    place = {name: at for at, name in enumerate(kept.tolist())}
    return tuple(
        np.bincount([place.get(each, len(kept)) for each in part], minlength=len(kept) + 1)
        for part in (reference, recent)
    )  # type: ignore[return-value]


def bins_of_numbers(reference: Floats, recent: Floats) -> tuple[Array, Array]:
    """Count numbers in bins that hold a tenth of the reference each; equal limits fall together."""
    limits = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    return tuple(
        np.bincount(np.searchsorted(limits, part, side="right"), minlength=len(limits) + 1)
        for part in (reference, recent)
    )  # type: ignore[return-value]


@dataclass(frozen=True)
class Drift:
    """What was found. `psi` is by input; `rows` are those of late."""

    psi: dict[str, float]
    item_mix: float
    """The Jensen-Shannon distance of the item mix (the most frequent items, and the rest)."""
    rows: int

    def largest(self, kind: str) -> float:
        """Return the largest index of the inputs that a kind of model uses."""
        return max(value for name, value in self.psi.items() if name in USED[kind])


def measure(reference: pa.Table, recent: pa.Table) -> Drift:
    """Compare clean lines (`prepare.clean`) of two times. ValueError if one of them is empty."""
    if not len(reference) or not len(recent):
        raise ValueError("drift needs lines of both times")
    items = tuple(part["stock_code"].to_pylist() for part in (reference, recent))
    mix = bins_of_names(*items)
    found = {"item": psi(*mix)}
    for name in ("quantity", "unit_price"):
        numbers = (part[name].to_numpy().astype(np.float64) for part in (reference, recent))
        found[name] = psi(*bins_of_numbers(*numbers))
    found["country"] = psi(*bins_of_names(*(part["country"].to_pylist() for part in (reference, recent))))

    return Drift(found, jensen_shannon(*mix), len(recent))


def unknown(values: pa.ChunkedArray, known: Set[str]) -> float:
    """Return the share of values that are not known."""
    found = pc.is_in(values, pa.array(known, pa.string()))
    return 1 - float(pc.mean(found.cast(pa.float64())).as_py())
