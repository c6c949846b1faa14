"""Models that a recommender has to beat: popularity, and the customer's own frequency."""

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
