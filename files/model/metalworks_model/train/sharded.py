"""X'X on the workers of Dask, equal to what one process computes but for the rounding of sums.

X'X is a sum over customers. Customers are divided among a fixed number of shards by the hash of their names,
each shard's part is computed on some worker, and the parts are added in the order of the shards. So neither
the number of workers nor the order in which they finish changes a bit of the result. Parts travel as the
lower triangle, sparse: moving them costs more than computing them. Below about ten times the data of the
reference shop, one process is faster (benchmarks/model/sharded.py).
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..data.prepare import Purchases
from . import ease

SHARDS = 8


def shard_of(users: npt.NDArray[np.str_], shards: int = SHARDS) -> npt.NDArray[np.int64]:
    """Return the shard of each customer."""
    return np.array([zlib.crc32(each.encode()) % shards for each in users.tolist()], np.int64)


def part(rows: sparse.csr_array) -> sparse.csr_array:
    """Return the lower triangle of X'X of some rows of X. It runs on a worker."""
    return sparse.csr_array(sparse.tril(rows.T @ rows))


def gram(
    client: Any, rows: sparse.csr_array, shard: npt.NDArray[np.int64], shards: int = SHARDS
) -> ease.Floats:
    """Return X'X, dense and symmetric, computed by the workers of a `distributed.Client`.

    At most two parts for each worker are under way, so this process needs memory for few of them.
    """
    total = np.zeros((rows.shape[1], rows.shape[1]), order="F")
    ahead = 2 * max(len(client.scheduler_info()["workers"]), 1)
    waiting: deque[Any] = deque()
    for each in range(shards + ahead):
        if each < shards:
            # A name of its own for each call: Dask must not take an older result for the same one.
            waiting.append(client.submit(part, rows[np.flatnonzero(shard == each)], pure=False))
        if each >= ahead or each >= shards:
            if not waiting:
                break
            future = waiting.popleft()
            triangle = future.result().tocoo()
            total[triangle.row, triangle.col] += triangle.data
            future.release()
    ease.mirror(total)
    return total


def fit(client: Any, bought: Purchases, parameters: ease.Parameters, shards: int = SHARDS) -> ease.Ease:
    """Fit EASE with the workers of a `distributed.Client`; see `ease.fit`."""
    reference = ease.reference_day(bought.last_day, parameters.period)
    rows = ease.history(bought, parameters, reference)
    return ease.fit(bought, parameters, gram(client, rows, shard_of(bought.users, shards), shards))
