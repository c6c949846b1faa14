"""From purchases to the files of a version."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..data.prepare import EPOCH, Purchases
from ..models.artifact import Card, code_digest, save, text
from ..models.recommender import History, Recommender
from ..models.tensors import Array
from . import baselines, ease


def names_of(items: npt.NDArray[np.str_], lines: pa.Table) -> npt.NDArray[np.str_]:
    """Return the description of each item: that of most of its lines, or its code if none has one."""
    table = lines.filter(pc.is_valid(lines["description"])).group_by(["stock_code", "description"])
    counted = table.aggregate([("invoice", "count")]).sort_by(
        [("invoice_count", "ascending"), ("description", "descending")]
    )
    # The last one that is written is the most frequent.
    known = dict(zip(counted["stock_code"].to_pylist(), counted["description"].to_pylist(), strict=True))
    return np.array([(known.get(each) or each).strip() for each in items.tolist()], dtype=str)


def pack(bought: Purchases, model: ease.Ease, names: npt.NDArray[np.str_]) -> dict[str, Array]:
    """Return the arrays that are served."""
    parameters = model.parameters
    rows = ease.history(bought, parameters, model.reference)
    baskets = baselines.counts(bought)
    baskets.sort_indices()
    users = text(bought.users)
    order = np.argsort(users, kind="stable")
    sizes = np.diff(rows.indptr)[order]
    pointers = np.concatenate([[0], np.cumsum(sizes)])
    rows, baskets = rows[order], baskets[order]
    # Both have one entry for each pair of customer and item, in the same order.
    rows.sort_indices()
    history = History(
        rows.indices.astype(np.int32), rows.data.astype(np.float32), baskets.data.astype(np.int32)
    )
    neighbours, kept = ease.served(model, bought)
    popular = np.argsort(-baselines.popularity(bought), kind="stable")
    return Recommender.pack(
        users[order], pointers, history, text(bought.items), text(names), neighbours, kept, popular
    )


def write(folder: Path, bought: Purchases, model: ease.Ease, names: npt.NDArray[np.str_]) -> Card:
    """Write the files of a version, and return their card."""
    until = EPOCH + dt.timedelta(model.last_day)
    card = Card(
        kind="recommender",
        parameters=msgspec.to_builtins(model.parameters),
        data=model.digest,
        data_until=str(until),
        code=code_digest(),
    )
    arrays = pack(bought, model, names)
    return save(folder, card, arrays | Recommender(card, arrays).make_ready())


def recommender(bought: Purchases, model: ease.Ease, names: npt.NDArray[np.str_]) -> Recommender:
    """Return the recommender in memory, as it would be served from files."""
    card = Card(kind="recommender", parameters=msgspec.to_builtins(model.parameters))
    return Recommender(card, pack(bought, model, names))
