"""Judge the model of unusual lines: the mistakes on purpose that it finds, and its alarms without them."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..models.anomalies import Anomalies
from ..models.tensors import Array

MISTAKES = 400
LEAST_FOUND = 0.9
MOST_ALARMS = 0.002


class AlarmDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Why a candidate was promoted or not."""

    promoted: bool
    reasons: list[str]
    judged_from: str
    lines: int
    found: float
    """The share of the mistakes that it finds."""
    alarms: float
    """The share of the other lines that it calls unusual."""


def _inputs(lines: pa.Table) -> dict[str, Array]:
    return {
        "stock_code": np.array(lines["stock_code"].to_pylist(), object),
        "quantity": lines["quantity"].to_numpy().copy(),
        "unit_price": lines["unit_price"].to_numpy().copy(),
    }


def decide(model: Anomalies, lines: pa.Table, first: str, seed: int = 0) -> AlarmDecision:
    """Judge a model on lines that it did not learn from.

    Half of the mistakes is a quantity with three more zeros, half is a price with two more zeros or two
    fewer. ValueError if there are no lines of goods.
    """
    lines = lines.filter(
        pc.and_(pc.match_substring_regex(lines["stock_code"], r"^\d"), pc.greater(lines["unit_price"], 0))
    )
    if not len(lines):
        raise ValueError(f"there is no line from {first} on to judge with: choose more judged_days")
    random = np.random.default_rng(seed)
    alarms = float(model.infer(_inputs(lines), {})["anomaly"].mean())
    wrong = _inputs(lines.take(random.integers(0, len(lines), MISTAKES)))
    half = MISTAKES // 2
    wrong["quantity"][:half] *= 1000
    wrong["unit_price"][half:] *= random.choice([0.01, 100.0], MISTAKES - half)
    found = float(model.infer(wrong, {})["anomaly"].mean())
    reasons = [
        f"It finds {found:.1%} of {MISTAKES} mistakes; at least {LEAST_FOUND:.0%} are needed.",
        f"It calls {alarms:.2%} of {len(lines)} lines unusual; at most {MOST_ALARMS:.1%} are allowed.",
    ]
    return AlarmDecision(
        promoted=found >= LEAST_FOUND and alarms <= MOST_ALARMS,
        reasons=reasons,
        judged_from=first,
        lines=len(lines),
        found=found,
        alarms=alarms,
    )
