"""Which invoice lines are unusual, and why: the second model.

A line is compared with the usual lines of its item: its quantity and its price, as logarithms, by the median
and the median absolute deviation (the modified z-score: Iglewicz and Hoaglin, "How to Detect and Handle
Outliers", 1993). An item with few lines borrows the spread of all items. A quantity is also compared with all
lines, and the geometric mean of both counts: twelve thousand of what is sold one by one is unusual, twelve
are not. Quantity and price are divided by their bounds, and the score of a line is the larger one: above 1 it
is unusual. Two prices are not judged: 0, because goods that are lost or given away are booked so, and those
of fees and corrections by hand, which have no usual price. It needs numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .artifact import Card
from .tensors import Array, BadInput, Tensor

# Makes the median absolute deviation an estimate of the standard deviation, where values are normal.
TO_DEVIATION = 1.4826
Floats = npt.NDArray[np.float64]


class Anomalies:
    """Scores lines with the usual values of each item."""

    inputs = (
        Tensor("stock_code", "BYTES", (-1,)),
        Tensor("quantity", "INT64", (-1,)),
        Tensor("unit_price", "FP64", (-1,)),
    )
    outputs = (
        Tensor("score", "FP64", (-1,)),
        Tensor("anomaly", "BOOL", (-1,)),
        Tensor("reason", "BYTES", (-1,)),
    )
    slow = False

    def __init__(self, card: Card, arrays: Mapping[str, Array]) -> None:
        """Take the arrays that `train.anomalies.fit` made: one row for each item, and a last one for all."""
        self.card = card
        self.codes = arrays["codes"]
        self.usual: Floats = arrays["usual"]
        """Rows of items: median and deviation of log10 quantity, median and deviation of log10 price."""
        self.quantity_bound = float(card.parameters["quantity_bound"])
        self.price_bound = float(card.parameters["price_bound"])

    def rows(self, codes: list[str]) -> npt.NDArray[np.int64]:
        """Return the row of each item; the last one for an item that is not known."""
        names = np.array([each.encode() for each in codes], np.bytes_)
        at = np.searchsorted(self.codes, names)
        known = at < len(self.codes)
        known[known] = self.codes[at[known]] == names[known]
        return np.where(known, at, len(self.usual) - 1)

    def score(self, codes: list[str], quantity: Array, price: Array) -> tuple[Floats, Floats]:
        """Return how many deviations the quantity and the price of each line are from what is usual.

        A quantity that is small for the shop scores 0.
        """
        usual = self.usual[self.rows(codes)]
        amount = np.log10(np.maximum(np.abs(quantity.astype(np.float64)), 1))
        cost = np.log10(np.maximum(price.astype(np.float64), 0.01))
        goods = np.array([each[:1].isdigit() for each in codes], bool)
        by_price = np.where((price > 0) & goods, np.abs(cost - usual[:, 2]) / usual[:, 3], 0.0)
        every = self.usual[-1]
        large = np.maximum(amount - every[0], 0) / every[1]
        return np.sqrt(large * np.abs(amount - usual[:, 0]) / usual[:, 1]), by_price

    def infer(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """Score each line. The inputs have one row for each line, and the price is in the currency's unit."""
        missing = [each.name for each in self.inputs if each.name not in inputs]
        if missing:
            raise BadInput(f"the input {missing[0]} is missing")
        codes = inputs["stock_code"].ravel().tolist()
        quantity, price = inputs["quantity"].ravel(), inputs["unit_price"].ravel()
        if not len(codes) == len(quantity) == len(price):
            raise BadInput("stock_code, quantity and unit_price have to have the same number of rows")
        by_quantity, by_price = self.score(codes, quantity, price)
        by_quantity, by_price = by_quantity / self.quantity_bound, by_price / self.price_bound
        score = np.maximum(by_quantity, by_price)
        found = score > 1
        usual = self.usual[self.rows(codes)]
        reason = np.full(len(codes), "", object)
        for row in np.flatnonzero(found).tolist():
            if by_quantity[row] >= by_price[row]:
                often = f"{10 ** usual[row, 0]:.0f}"
                reason[row] = f"quantity {quantity[row]}, where {often} is usual for {codes[row]}"
            else:
                often = f"{10 ** usual[row, 2]:.2f}"
                reason[row] = f"price {price[row]:.2f}, where {often} is usual for {codes[row]}"
        return {"score": score, "anomaly": found, "reason": reason}
