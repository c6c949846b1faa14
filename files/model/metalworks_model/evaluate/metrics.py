"""NDCG, recall, hit rate and coverage of a ranking, with confidence intervals over customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..data.prepare import Ints, Split
from ..train.baselines import counts

Scores = npt.NDArray[np.float32]
# The scores of some customers for all items: customers by items.
Scorer = Callable[[Ints], Scores]


class Task(StrEnum):
    """What is to be predicted: items that the customer never bought, or whatever is in the next baskets."""

    NEW = "new"
    AGAIN = "again"


class Estimate(msgspec.Struct, frozen=True):
    """A mean over customers, and the bounds of its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it in four digits."""
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f})"


def bootstrap(values: npt.NDArray[np.float64], rounds: int = 1000, seed: int = 0) -> Estimate:
    """Estimate a mean with the percentile bootstrap (Efron 1979): draw customers again, with replacement."""
    random = np.random.default_rng(seed)
    means = np.empty(rounds)
    for each in range(rounds):
        means[each] = values[random.integers(0, len(values), len(values))].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class Judgement:
    """How good a ranking is, one value for each judged customer; coverage is one number.

    `recall` is hits / min(k, relevant items). `ndcg` has relevance 0 or 1 (Jarvelin and Kekalainen 2002).
    `hit` is 1 where at least one item of the list was bought. `coverage` is the share of all items that is in
    at least one list.
    """

    ndcg: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    hit: npt.NDArray[np.float64]
    coverage: float

    def summary(self) -> Summary:
        """Return the means and their intervals."""
        return Summary(
            bootstrap(self.ndcg), bootstrap(self.recall), bootstrap(self.hit), self.coverage, len(self.ndcg)
        )


class Summary(msgspec.Struct, frozen=True):
    """A judgement as it is written down."""

    ndcg: Estimate
    recall: Estimate
    hit_rate: Estimate
    coverage: float
    customers: int


def _pairs(rows: sparse.csr_array) -> sparse.csr_array:
    found = rows.tocsr(copy=True)
    found.data[:] = 1
    return found


@dataclass(frozen=True)
class Question:
    """What a split asks: which customers, what they had (masked), and what they bought then (relevant).

    Customers without a purchase before the split are not asked, nor items that nobody bought before it: no
    model of this package could know them.
    """

    customers: Ints
    masked: sparse.csr_array
    relevant: sparse.csr_array


def question(parts: Split, task: Task) -> Question:
    """Return what a split asks in a task."""
    had, bought = _pairs(counts(parts.train)), _pairs(counts(parts.test))
    known = np.asarray(had.sum(axis=0)).ravel() > 0
    relevant = bought.multiply(known[None, :]).tocsr()
    if task is Task.NEW:
        relevant = relevant - relevant.multiply(had)
    relevant = sparse.csr_array(relevant)
    relevant.eliminate_zeros()
    asked = (np.diff(had.indptr) > 0) & (np.diff(relevant.indptr) > 0)
    customers = np.flatnonzero(asked).astype(np.int32)
    masked = had[customers] if task is Task.NEW else sparse.csr_array((len(customers), had.shape[1]))
    return Question(customers, masked, relevant[customers])


def top(scores: Scores, size: int) -> Ints:
    """Return the best `size` columns of each row, best first; of equal scores the first column."""
    size = min(size, scores.shape[1])
    found = np.argpartition(-scores, size - 1, axis=1)[:, :size]
    found.sort(axis=1)
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1).astype(np.int32)


def judge(scorer: Scorer, asked: Question, size: int = 20, block: int = 512) -> Judgement:
    """Rank all items for each asked customer and compare the first `size` with what was bought."""
    discount = 1 / np.log2(np.arange(2, size + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    ndcg, recall, hit = [], [], []
    shown = np.zeros(asked.relevant.shape[1], bool)
    for first in range(0, len(asked.customers), block):
        rows = slice(first, first + block)
        scores = np.array(scorer(asked.customers[rows]), np.float32)
        masked = asked.masked[rows].tocoo()
        scores[masked.row, masked.col] = -np.inf
        best = top(scores, size)
        shown[best] = True
        truth = asked.relevant[rows].toarray() > 0
        right = np.take_along_axis(truth, best.astype(np.int64), axis=1)
        possible = np.minimum(truth.sum(axis=1), size)
        ndcg.append(right @ discount[: best.shape[1]] / ideal[possible])
        recall.append(right.sum(axis=1) / possible)
        hit.append(right.any(axis=1).astype(np.float64))
    return Judgement(np.concatenate(ndcg), np.concatenate(recall), np.concatenate(hit), float(shown.mean()))
