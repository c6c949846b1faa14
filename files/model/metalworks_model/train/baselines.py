"""Models that a recommender has to beat: popularity, the customer's own frequency, item-kNN with BM25."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..data.prepare import Purchases

Scores = npt.NDArray[np.float32]


def counts(bought: Purchases) -> sparse.csr_array:
    """Return how many baskets of a customer had an item: customers by items, float64."""
    shape = (len(bought.users), len(bought.items))
    ones = np.ones(len(bought))
    return sparse.coo_array((ones, (bought.user, bought.item)), shape=shape).tocsr()


def popularity(bought: Purchases) -> Scores:
    """Return the number of customers who bought each item."""
    return np.asarray((counts(bought) > 0).sum(axis=0), np.float32)


def bm25(rows: sparse.csr_array, k1: float, b: float) -> sparse.csr_array:
    """Weigh counts by Okapi BM25 (Robertson and Walker 1994): customers are documents, items are terms."""
    found = rows.tocsr(copy=True)
    customers = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    frequency = np.bincount(found.indices, minlength=found.shape[1])
    rarity = np.log(found.shape[0] / (1.0 + frequency))
    length = np.asarray(found.sum(axis=1)).ravel()
    norm = (1 - b) + b * length[customers] / length[length > 0].mean()
    found.data = found.data * (k1 + 1) / (k1 * norm + found.data) * rarity[found.indices]
    return found


def item_knn(rows: sparse.csr_array, neighbours: int, k1: float = 1.2, b: float = 0.75) -> sparse.csr_array:
    """Return the similarity of items, items by items: the largest `neighbours` of each row, by BM25 vectors.

    A customer's scores are the row of counts, weighted alike, times this matrix.
    """
    weighted = bm25(rows, k1, b)
    dense = (weighted.T @ weighted).toarray().astype(np.float32)
    np.fill_diagonal(dense, 0)
    kept = min(neighbours, dense.shape[1] - 1)
    floor = np.partition(dense, dense.shape[1] - kept, axis=1)[:, dense.shape[1] - kept]
    dense[dense < floor[:, None]] = 0
    return sparse.csr_array(dense)
