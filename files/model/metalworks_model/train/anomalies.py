"""Fit the usual quantity and price of each item (see models/anomalies.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..models.anomalies import TO_DEVIATION, Anomalies
from ..models.artifact import Card, code_digest, save
from ..models.tensors import Array

# With this many lines, an item's own spread and that of all items count alike.
BORROWED = 20.0
# How far an item's own spread may be from that of all items, as a factor. Without this bound, the few items
# that were sold in absurd quantities would make them usual.
WIDEST = 1.5
# Nobody's quantities are so regular that a pack more is a surprise: a factor of 1.4 is one deviation at
# least.
LEAST_DEVIATION = 0.15
# The share of lines whose quantity (or price) may be called unusual, and the least number of deviations for
# it (3.5 is Iglewicz and Hoaglin's).
ALERT_SHARE = 1 / 5000
LEAST_BOUND = 3.5


def _median_by(
    group: npt.NDArray[np.int64], values: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """Return the median of the values of each group; NaN for an empty one."""
    order = np.lexsort((values, group))
    ordered = values[order]
    ends = np.searchsorted(group[order], np.arange(size + 1))
    count = np.diff(ends)
    low, high = ends[:-1] + (count - 1) // 2, ends[:-1] + count // 2
    found = np.full(size, np.nan)
    some = count > 0
    found[some] = (ordered[low[some]] + ordered[high[some]]) / 2
    return found


def fit(lines: pa.Table) -> tuple[dict[str, Array], dict[str, float]]:
    """Return the arrays and parameters of the model of these lines (`ingest.SCHEMA`).

    Cancellations count with the size of their quantity: a mistake that is taken back is a mistake.
    """
    lines = lines.filter(pc.greater(lines["unit_price"], 0.0))
    coded = lines["stock_code"].combine_chunks().dictionary_encode()
    names = np.array([each.encode() for each in coded.dictionary.to_pylist()], np.bytes_)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    item = place[coded.indices.to_numpy()]
    quantity = np.log10(np.maximum(np.abs(lines["quantity"].to_numpy().astype(np.float64)), 1))
    price = np.log10(np.maximum(lines["unit_price"].to_numpy(), 0.01))
    count = np.bincount(item, minlength=len(names))
    columns = []
    for values in (quantity, price):
        median = _median_by(item, values, len(names))
        away = np.abs(values - median[item])
        own = _median_by(item, away, len(names)) * TO_DEVIATION
        every = max(float(np.median(away)) * TO_DEVIATION, LEAST_DEVIATION)
        own = np.clip(own, every / WIDEST, every * WIDEST)
        deviation = np.maximum((count * own + BORROWED * every) / (count + BORROWED), LEAST_DEVIATION)
        wide = max(float(np.median(np.abs(values - np.median(values)))) * TO_DEVIATION, LEAST_DEVIATION)
        columns.append(np.append(median, np.median(values)))
        columns.append(np.append(deviation, wide))
    arrays = {"codes": names[order], "usual": np.stack(columns, axis=1)}
    model = Anomalies(Card(kind="anomalies", parameters={"quantity_bound": 1.0, "price_bound": 1.0}), arrays)
    codes = lines["stock_code"].to_pylist()
    by_quantity, by_price = model.score(codes, lines["quantity"].to_numpy(), lines["unit_price"].to_numpy())
    return arrays, {"quantity_bound": bound(by_quantity), "price_bound": bound(by_price)}


def bound(scores: npt.NDArray[np.float64]) -> float:
    """Return the bound that `ALERT_SHARE` of good lines would pass.

    The quantile of the data would do if they had no mistakes. Where mistakes are more than that share, it
    lies among them; so it is at most what a tail that falls off exponentially from the 99th percentile would
    have.
    """
    middle, high, quantile = np.quantile(scores, [0.5, 0.99, 1 - ALERT_SHARE]).tolist()
    tail = middle + (high - middle) * np.log(0.5 / ALERT_SHARE) / np.log(0.5 / 0.01)
    return max(min(quantile, float(tail)), LEAST_BOUND)


def write(folder: Path, lines: pa.Table, until: str, data: str) -> Card:
    """Write the files of a version, and return their card."""
    arrays, parameters = fit(lines)
    card = Card(
        kind="anomalies", parameters=dict(parameters), data=data, data_until=until, code=code_digest()
    )
    return save(folder, card, arrays)
