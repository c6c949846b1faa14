#!/usr/bin/env python3
"""Compare training on two workers of Dask with one process, from once to twenty times the data.

More data are the same customers again, under other names and with other purchases left out: the items stay,
as they do in a shop. The workers are processes of this computer with one thread of linear algebra each. What
is timed is X'X, which is what the workers share; the inverse is the same for both. Writes sharded.md.
    benchmarks/model/sharded.py --data FILE_OR_URL [--times 1 5 20] [--rounds 3]
METALWORKS_RETAIL_DATA may name the data, too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform as computer
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
PACKAGE = str(HERE.parents[1] / "files" / "model")
sys.path.insert(0, PACKAGE)
# Workers import the package, too.
os.environ["PYTHONPATH"] = f"{PACKAGE}:{os.environ.get('PYTHONPATH', '')}"

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402
from metalworks_model.data import ingest, prepare, sources  # noqa: E402
from metalworks_model.data.prepare import Purchases  # noqa: E402
from metalworks_model.train import ease, sharded  # noqa: E402


def many(bought: Purchases, copies: int) -> Purchases:
    """Return the purchases of this many times the customers; each copy lacks another tenth of them."""
    draws = (np.random.default_rng(each).random(len(bought)) for each in range(copies))
    parts = [np.flatnonzero(each < 0.9) for each in draws]
    users = np.concatenate([np.char.add(bought.users, f"-{each}") for each in range(copies)])
    user = np.concatenate([bought.user[part] + each * len(bought.users) for each, part in enumerate(parts)])
    rows = np.concatenate(parts)
    order = np.argsort(bought.day[rows], kind="stable")
    rows = rows[order]
    columns = (bought.item[rows], bought.basket[rows], bought.day[rows])
    return Purchases(users, bought.items, user[order].astype(np.int32), *columns)


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("METALWORKS_RETAIL_DATA"))
    parser.add_argument("--times", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("say where the invoices are: --data FILE_OR_URL, or METALWORKS_RETAIL_DATA")
    batches = sources.read_days(arguments.data)
    bought = prepare.purchases(prepare.clean(pa.concat_tables([ingest.check(each)[0] for each in batches])))
    lines = [
        "# Training on two workers of Dask",
        "",
        f"`benchmarks/model/sharded.py`, {dt.date.today()}, {os.cpu_count()} cores ({computer.machine()}), "
        f"load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds in turn, {sharded.SHARDS} shards.",
        "",
        "| data | customers | one process, s | two workers, s | ratio | largest difference of a weight |",
        "|---|---|---|---|---|---|",
    ]
    parameters = ease.Parameters()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        for copies in arguments.times:
            more = many(bought, copies)
            rows = ease.history(more, parameters, ease.reference_day(more.last_day, parameters.period))
            shard = sharded.shard_of(more.users)
            seconds: dict[str, list[float]] = {"one": [], "several": []}
            for _ in range(arguments.rounds):
                begin = time.perf_counter()
                one = ease.gram(rows)
                seconds["one"].append(time.perf_counter() - begin)
                begin = time.perf_counter()
                several = sharded.gram(client, rows, shard)
                seconds["several"].append(time.perf_counter() - begin)
            weights = [ease.fit(more, parameters, total).weights() for total in (one, several)]
            difference = float(np.abs(weights[0] - weights[1]).max())
            if difference > 1e-5:
                raise SystemExit(f"The weights differ by {difference}.")
            middle = {name: statistics.median(each) for name, each in seconds.items()}
            cells = [f"{copies} x", str(len(more.users)), f"{middle['one']:.2f}", f"{middle['several']:.2f}"]
            cells += [f"{middle['several'] / middle['one']:.2f}", f"{difference:.1e}"]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    (HERE / "sharded.md").write_text("\n".join([*lines, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
