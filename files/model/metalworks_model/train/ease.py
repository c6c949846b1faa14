"""EASE with recency: an item-item model in closed form, and its exact update by one day.

The model is EASE (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019): with the matrix X
of customers and items and P = (X'X + lambda I)^-1, the weight from item i to item j is B_ij = -P_ij / P_jj,
and 0 on the diagonal. What is ours: X_ui is not 1 but the square root of 2^(-age / half life), with the age
of the customer's last purchase of the item. So X'X counts each pair of items by how old it is. And the
weights that are served are multiplied by the trend of the item that they point to (`trend`), because a shop's
demand has seasons that are shorter than what a customer's taste needs to show.

Ages are counted from a reference day, which stands still for `period` days and then moves on. (It is forward
decay: Cormode et al., "Forward Decay", ICDE 2009. A purchase after the reference day has a negative age.)
While it stands still, a new day changes only the rows of that day's customers. Their change of X'X has a low
rank, and the identity of Sherman, Morrison and Woodbury takes it over into P without inverting again.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import lapack

from ..data.prepare import Ints, Purchases

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What is tuned; benchmarks/model/accuracy.py shows how the values were found.

    `half_life` is in days: a purchase of this age counts half. `regularisation` is lambda, in units of one
    purchase on the reference day. `period` is in days: how long the reference day stands still. `neighbours`
    is how many weights of each item are kept for serving. `trend` is the power of the trend, which compares
    the demand of the last `trend_short` days with that of `trend_long` days (both half lives).
    `frequency_share` is the share of the customer's own frequency in the blend, from 0 to 1.
    """

    half_life: float = 80.0
    regularisation: float = 100.0
    period: int = 7
    neighbours: int = 100
    trend: float = 0.8
    trend_short: float = 14.0
    trend_long: float = 200.0
    frequency_share: float = 0.6


def reference_day(last_day: int, period: int) -> int:
    """Return the day from which ages are counted, in days since 1970-01-01, for data up to `last_day`."""
    return last_day - last_day % period


def history(bought: Purchases, parameters: Parameters, reference: int) -> sparse.csr_array:
    """Return X, customers by items, float64: what each bought, weighted by the age of the last time."""
    shape = (len(bought.users), len(bought.items))
    key = bought.user.astype(np.int64) * shape[1] + bought.item
    # Purchases are sorted by day: the last one of a pair is the newest.
    pairs, backwards = np.unique(key[::-1], return_index=True)
    day = bought.day[::-1][backwards]
    weight = np.exp2((day - reference) / (2 * parameters.half_life))
    pointers = np.searchsorted(pairs // shape[1], np.arange(shape[0] + 1))
    return sparse.csr_array((weight, (pairs % shape[1]).astype(np.int32), pointers), shape=shape)


def gram(rows: sparse.csr_array) -> Floats:
    """Return X'X, dense, items by items. It is a sum over customers, so parts of X can be added."""
    return np.asarray((rows.T @ rows).toarray(order="F"))


def mirror(lower: Floats) -> None:
    """Copy the lower triangle over the upper one, in blocks that fit into the processor's cache."""
    size, step = len(lower), 256
    for first in range(0, size, step):
        end = min(first + step, size)
        block = lower[first:end, first:end]
        block[:] = np.tril(block) + np.tril(block, -1).T
        lower[first:end, end:] = lower[end:, first:end].T


def invert(matrix: Floats, regularisation: float) -> Floats:
    """Return (matrix + regularisation I)^-1 of a symmetric matrix by Cholesky; `matrix` is overwritten.

    ValueError if it is not positive definite, which a positive regularisation excludes.
    """
    matrix = np.asfortranarray(matrix)
    matrix[np.diag_indices_from(matrix)] += regularisation
    factor, failed = lapack.dpotrf(matrix, lower=1, overwrite_a=1, clean=0)
    if not failed:
        factor, failed = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError(
            f"X'X + {regularisation} I is not positive definite: the regularisation has to be > 0"
        )
    mirror(factor)
    return np.asarray(factor)


@dataclass(frozen=True)
class Ease:
    """A fitted model: the inverse P and what it was fitted on.

    `inverse` is items by items, float64, symmetric. `reference` and `last_day` are days since 1970-01-01.
    `digest` is the SHA-256 of the purchases (`Purchases.digest`).
    """

    parameters: Parameters
    inverse: Floats
    reference: int
    last_day: int
    digest: str

    def weights(self) -> Weights:
        """Return B, items by items, float32: the weight from the row's item to the column's item."""
        diagonal = np.diagonal(self.inverse).copy()
        found = np.empty(self.inverse.shape, np.float32)
        # P is symmetric and stored by columns, so its transpose has the same values, stored by rows.
        np.divide(self.inverse.T, -diagonal, out=found, casting="same_kind")
        np.fill_diagonal(found, 0)
        return found


def fit(bought: Purchases, parameters: Parameters, total: Floats | None = None) -> Ease:
    """Fit on purchases. `total` is X'X where others computed it (`sharded.gram`); it is overwritten."""
    reference = reference_day(bought.last_day, parameters.period)
    if total is None:
        total = gram(history(bought, parameters, reference))
    inverse = invert(total, parameters.regularisation)
    return Ease(parameters, inverse, reference, bought.last_day, bought.digest())


def can_update(model: Ease, bought: Purchases, parameters: Parameters) -> str:
    """Return why a model cannot be updated to these purchases; an empty string if it can."""
    if model.parameters != parameters:
        return "the parameters changed"
    if bought.last_day <= model.last_day:
        return "there is no newer day"
    if model.reference != reference_day(bought.last_day, parameters.period):
        return "the reference day moves on"
    before = bought.select(bought.day <= model.last_day).compact()
    if before.digest() != model.digest:
        return "the days before changed, or came late"
    return ""


def update(model: Ease, bought: Purchases) -> Ease:
    """Return the model of all these purchases, of which the given one knows those up to its last day.

    It equals `fit(bought, model.parameters)` but for rounding. ValueError if `can_update` finds a reason
    against it.
    """
    if reason := can_update(model, bought, model.parameters):
        raise ValueError(f"the model cannot be updated by a day: {reason}")
    return _update(model, bought)


def holds(model: Ease, bought: Purchases) -> bool:
    """Return whether the inverse is that of these purchases: whether P (X'X + lambda I) v is v for random v.

    This is Freivalds' check of a product ("Fast probabilistic algorithms", MFCS 1979). It takes a small part
    of the time of a fit, and sees every wrong entry that is larger than rounding.
    """
    rows = history(bought, model.parameters, model.reference)
    probe = np.random.default_rng(0).standard_normal((rows.shape[1], 2))
    seen = rows.T @ (rows @ probe) + model.parameters.regularisation * probe
    return bool(np.abs(model.inverse @ seen - probe).max() < 1e-6)


def _update(model: Ease, bought: Purchases) -> Ease:
    parameters, known, size = model.parameters, len(model.inverse), len(bought.items)
    news = bought.day > model.last_day
    customers = np.unique(bought.user[news])
    theirs = np.isin(bought.user, customers)
    after = history(bought.select(theirs), parameters, model.reference)[customers]
    before = history(bought.select(theirs & ~news), parameters, model.reference)[customers]
    before = before[np.diff(before.indptr) > 0]

    inverse = np.array(model.inverse, order="F") if known == size else _grown(model.inverse, size, parameters)
    # P' = P - P U' (S + U P U')^-1 U P, with the new rows (S = 1) and the old rows (S = -1) in U.
    changed = sparse.vstack([after, before]).tocsr()
    sign = np.concatenate([np.ones(after.shape[0]), -np.ones(before.shape[0])])
    right = np.asarray(changed @ inverse.T)  # U P: rows of changed customers by items
    core = np.asarray(changed @ right.T) + np.diag(sign)
    left = np.linalg.solve(core, right)
    inverse -= (left.T @ right).T
    return Ease(parameters, inverse, model.reference, bought.last_day, bought.digest())


def _grown(inverse: Floats, size: int, parameters: Parameters) -> Floats:
    """Return P with items that nobody bought yet: their X'X is 0, so only the regularisation stands there."""
    grown = np.zeros((size, size), order="F")
    known = len(inverse)
    grown[:known, :known] = inverse
    fresh = np.arange(known, size)
    grown[fresh, fresh] = 1 / parameters.regularisation
    return grown


def trend(bought: Purchases, parameters: Parameters) -> Floats:
    """Return how the demand of each item grows: its share of purchases lately, to its share in the long run.

    1 is as usual; the result is raised to the power `parameters.trend`. A small constant in both shares keeps
    items calm that are hardly ever bought.
    """

    def share(half_life: float) -> Floats:
        weight = np.exp2((bought.day - bought.last_day) / half_life)
        demand = np.bincount(bought.item, weight, len(bought.items))
        return np.asarray(demand / demand.sum() + 1e-5)

    return np.asarray((share(parameters.trend_short) / share(parameters.trend_long)) ** parameters.trend)


def served(model: Ease, bought: Purchases) -> tuple[Ints, Weights]:
    """Return the weights that are served: the largest of each item (`prune`), times the trend."""
    items, weights = prune(model.weights(), model.parameters.neighbours)
    return items, weights * trend(bought, model.parameters).astype(np.float32)[items]


def prune(weights: Weights, neighbours: int) -> tuple[Ints, Weights]:
    """Keep the largest weights of each row, by absolute value.

    Return two matrices, items by `neighbours` (or by all items, if there are fewer): the items in ascending
    order, and their weights. Most of the rest is close to 0; the gate judges the model as it is served.
    """
    size = len(weights)
    kept = min(neighbours, size)
    items = np.empty((size, kept), np.int32)
    for first in range(0, size, 256):
        absolute = np.abs(weights[first : first + 256])
        # numpy finds the smallest kept value several times as fast as the places of the kept ones.
        least = np.partition(absolute, size - kept, axis=1)[:, size - kept]
        chosen = absolute >= least[:, None]
        for row in np.flatnonzero(chosen.sum(axis=1) > kept):
            # Several weights are equal to the smallest one: the first of them are kept.
            places = np.argsort(-absolute[row], kind="stable")[:kept]
            chosen[row] = False
            chosen[row, places] = True
        items[first : first + 256] = np.nonzero(chosen)[1].reshape(-1, kept)
    return items, np.take_along_axis(weights, items, axis=1)
