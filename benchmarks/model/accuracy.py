#!/usr/bin/env python3
"""Compare the recommender with tuned models of others on real invoices, and the time that training takes.

It splits by time: every model learns from what is before --tune, is tuned on the month from there, then
learns from what is before --test, and is judged on the days from there to --end. Rankings are over all items.
iALS is the one of `implicit`. Writes accuracy.md and accuracy.json beside itself.
    benchmarks/model/accuracy.py --data FILE_OR_URL [--tune 2011-09-01] [--test 2011-10-01] [--end 2011-11-01]
        [--rounds 5] [--threads 2] [--tuned FILE]
The data have the schema of UCI Online Retail; METALWORKS_RETAIL_DATA may name them, too. --tuned takes what
an earlier run found best instead of looking for it. It needs an interpreter with files/model/requirements.txt
and benchmarks/model/requirements.txt.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform as computer
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "files" / "model"))
# The library of linear algebra reads these when it is loaded. implicit asks for one thread beside its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from implicit.als import AlternatingLeastSquares  # noqa: E402
from implicit.nearest_neighbours import BM25Recommender  # noqa: E402
from metalworks_model.data import ingest, prepare, sources  # noqa: E402
from metalworks_model.data.prepare import Purchases, Split  # noqa: E402
from metalworks_model.evaluate.metrics import Judgement, Question, Task, bootstrap, judge, question  # noqa: E402
from metalworks_model.train import baselines, ease  # noqa: E402
from scipy import sparse  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

Scorer = Callable[[Any], Any]


class Identity:
    """A split as a key of a cache: the same object is the same split."""

    def __init__(self, split: Split) -> None:
        """Keep the split."""
        self.split = split

    def __hash__(self) -> int:
        """Return the number of the object."""
        return id(self.split)

    def __eq__(self, other: object) -> bool:
        """Compare objects."""
        return isinstance(other, Identity) and other.split is self.split


# What is tried: each model begins in the middle, and moves along one value at a time while it gets better.
# A best value at an end of its list is reported.
SPACES: dict[str, dict[str, list[Any]]] = {
    "iALS": {
        "factors": [16, 32, 64, 96, 128, 192, 256],
        "regularization": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
        "alpha": [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        "iterations": [4, 8, 16, 30, 50],
    },
    "item-kNN BM25": {
        "K": [5, 10, 20, 50, 100, 200, 400],
        "K1": [0.1, 0.3, 0.6, 1.2, 2.4, 5.0, 10.0],
        "B": [0.0, 0.25, 0.5, 0.75, 0.9, 1.0],
    },
    "EASE": {"regularisation": [50.0, 100.0, 200.0, 300.0, 500.0, 800.0]},
    "recency-EASE": {
        "half_life": [20.0, 40.0, 60.0, 80.0, 120.0, 160.0],
        "regularisation": [25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0],
        "trend": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2],
        "trend_short": [3.0, 5.0, 7.0, 10.0, 14.0, 20.0],
        "trend_long": [50.0, 100.0, 200.0, 400.0],
        "neighbours": [25, 50, 75, 100, 150, 200, 400],
    },
    "blend": {"frequency_share": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]},
}
STARTS: dict[str, dict[str, Any]] = {
    "iALS": {"factors": 64, "regularization": 1.0, "alpha": 4.0, "iterations": 16},
    "item-kNN BM25": {"K": 50, "K1": 1.2, "B": 0.75},
    "EASE": {"regularisation": 300.0},
    "recency-EASE": {
        "half_life": 60.0, "regularisation": 100.0, "trend": 0.6, "trend_short": 10.0, "trend_long": 200.0,
        "neighbours": 100,
    },
    "blend": {"frequency_share": 0.5},
}  # fmt: skip
FOREVER = 1e9  # a half life after which no purchase loses weight


def read(url: str) -> Purchases:
    """Read, check and clean a file of invoice lines as the ingestion does."""
    batches = sources.read_days(url)
    good = pa.concat_tables([ingest.check(batch)[0] for batch in batches])
    return prepare.purchases(prepare.clean(good))


def ials(parts: Split, *, recency: ease.Parameters | None = None, **values: Any) -> Scorer:
    """Fit implicit's iALS. Its confidence is 1 for each pair, or the weight of recency, times alpha."""
    rows = counts_of(parts) if recency is None else recent(parts, recency)
    values = dict(values)
    alpha = values.pop("alpha")
    model = AlternatingLeastSquares(**values, alpha=alpha, random_state=0, num_threads=THREADS)
    model.fit(sparse.csr_matrix(rows, dtype=np.float32), show_progress=False)
    return lambda users: model.user_factors[users] @ model.item_factors.T


def counts_of(parts: Split) -> sparse.csr_array:
    """Return 1 for each item that a customer bought."""
    found = baselines.counts(parts.train)
    found.data[:] = 1
    return found


def recent(parts: Split, parameters: ease.Parameters) -> sparse.csr_array:
    """Return the weights of recency."""
    reference = ease.reference_day(parts.train.last_day, parameters.period)
    return ease.history(parts.train, parameters, reference)


def knn(parts: Split, **values: Any) -> Scorer:
    """Fit implicit's item-kNN with BM25 on the numbers of baskets."""
    rows = sparse.csr_matrix(baselines.counts(parts.train))
    model = BM25Recommender(**values, num_threads=THREADS)
    model.fit(rows, show_progress=False)
    similar = model.similarity.tocsr()
    similar.setdiag(0)
    return lambda users: (rows[users] @ similar).toarray()


@cache
def fitted(parts: Identity, half_life: float, regularisation: float) -> ease.Ease:
    """Return EASE for two parameters, which others share with it while they are tuned."""
    return ease.fit(parts.split.train, ease.Parameters(half_life=half_life, regularisation=regularisation))


def plain(parts: Split, *, regularisation: float) -> Scorer:
    """Fit EASE as it was published: no recency, no trend."""
    model = fitted(Identity(parts), FOREVER, regularisation)
    rows, weights = recent(parts, model.parameters), model.weights()
    return lambda users: rows[users] @ weights


def easy(parts: Split, **values: Any) -> Scorer:
    """Fit recency-EASE, with the weights that are served."""
    parameters = ease.Parameters(**values)
    model = fitted(Identity(parts), parameters.half_life, parameters.regularisation)
    model = ease.Ease(parameters, model.inverse, model.reference, model.last_day, model.digest)
    items, kept = ease.served(model, parts.train)
    weights = np.zeros((len(items), len(items)), np.float32)
    np.put_along_axis(weights, items.astype(np.int64), kept, axis=1)
    rows = recent(parts, parameters)
    return lambda users: rows[users] @ weights


def popular(parts: Split) -> Scorer:
    """Rank items by the number of their customers."""
    scores = baselines.popularity(parts.train)
    return lambda users: np.tile(scores, (len(users), 1))


def frequent(parts: Split) -> Scorer:
    """Rank a customer's items by the number of his baskets, then all items by popularity."""
    rows, popularity = baselines.counts(parts.train), baselines.popularity(parts.train)
    return lambda users: rows[users].toarray() + popularity / (popularity.max() + 1) * 0.5


def blended(parts: Split, *, frequency_share: float, **values: Any) -> Scorer:
    """Blend the customer's own frequency with recency-EASE, each divided by its largest value."""
    model, rows, share = easy(parts, **values), baselines.counts(parts.train), frequency_share

    def scores(users: Any) -> Any:
        own, others = rows[users].toarray(), model(users)
        own /= np.maximum(own.max(axis=1, keepdims=True), 1e-12)
        others = others / np.maximum(others.max(axis=1, keepdims=True), 1e-12)
        return share * own + (1 - share) * others

    return scores


MAKERS: dict[str, Callable[..., Scorer]] = {
    "iALS": ials, "item-kNN BM25": knn, "EASE": plain, "recency-EASE": easy,
}  # fmt: skip


def climb(
    name: str, space: dict[str, list[Any]], start: dict[str, Any], quality: Callable[..., float]
) -> Any:
    """Return the best values, their quality, and how many were tried, by hill climbing along each value."""
    tried: dict[tuple[Any, ...], float] = {}

    def at(values: dict[str, Any]) -> float:
        key = tuple(values.values())
        if key not in tried:
            tried[key] = quality(**values)
            print(f"{name} {values}: {tried[key]:.4f}", flush=True)
        return tried[key]

    best, moved = dict(start), True
    while moved:
        moved = False
        for key, choices in space.items():
            for step in (1, -1):
                place = choices.index(best[key]) + step
                while 0 <= place < len(choices) and at(best | {key: choices[place]}) > at(best):
                    best, moved = best | {key: choices[place]}, True
                    place += step
    ends = [key for key, choices in space.items() if best[key] in (choices[0], choices[-1])]
    return {"values": best, "ndcg": at(best), "tried": len(tried), "at an end": ends}


def tune(parts: Split) -> dict[str, dict[str, Any]]:
    """Return the values of each model that have the best NDCG@20 in the month for tuning."""
    new, again = question(parts, Task.NEW), question(parts, Task.AGAIN)
    best: dict[str, dict[str, Any]] = {}

    def quality(make: Callable[..., Scorer], asked: Question) -> Callable[..., float]:
        return lambda **values: float(judge(make(parts, **values), asked).ndcg.mean())

    for name, make in MAKERS.items():
        best[name] = climb(name, SPACES[name], STARTS[name], quality(make, new))
    own = best["recency-EASE"]["values"]
    recency = ease.Parameters(half_life=own["half_life"])
    with_recency = partial(ials, recency=recency)
    start = best["iALS"]["values"]
    best["iALS, recency"] = climb("iALS, recency", SPACES["iALS"], start, quality(with_recency, new))
    blend = climb("blend", SPACES["blend"], STARTS["blend"], quality(partial(blended, **own), again))
    blend["values"] = own | blend["values"]
    best["blend"] = blend
    return best


def evaluate(parts: Split, best: dict[str, dict[str, Any]]) -> dict[str, dict[str, Judgement]]:
    """Judge each tuned model on the days from --test to --end, by task and name."""
    values = {name: each["values"] for name, each in best.items()}
    own = values["recency-EASE"]
    recency = ease.Parameters(half_life=own["half_life"])
    scorers = {
        "popularity": popular(parts),
        "item-kNN BM25": knn(parts, **values["item-kNN BM25"]),
        "iALS": ials(parts, **values["iALS"]),
        "iALS, recency": ials(parts, recency=recency, **values["iALS, recency"]),
        "EASE": plain(parts, **values["EASE"]),
        "recency-EASE, no trend": easy(parts, **own | {"trend": 0.0}),
        "recency-EASE": easy(parts, **own),
        "own frequency": frequent(parts),
        "blend": blended(parts, **values["blend"]),
    }
    new, again = question(parts, Task.NEW), question(parts, Task.AGAIN)
    repeats = ("own frequency", "blend")
    return {
        Task.NEW: {name: judge(scorer, new) for name, scorer in scorers.items() if name not in repeats},
        Task.AGAIN: {name: judge(scorer, again) for name, scorer in scorers.items()},
    }  # fmt: skip


def times(parts: Split, best: dict[str, dict[str, Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way to train, in turn; the last is a day's update of a fitted model.

    Ours end with the weights that are served. CPU seconds depend less on what else the computer does.
    """
    whole = parts.train.compact()
    days = np.unique(whole.day)
    parameters = ease.Parameters(**best["recency-EASE"]["values"])
    # The newest day that has the same reference day as the one before it.
    end = next(
        day
        for day, before in zip(days[:0:-1], days[-2::-1], strict=False)
        if ease.reference_day(int(day), parameters.period)
        == ease.reference_day(int(before), parameters.period)
    )
    today = whole.select(whole.day <= end).compact()
    yesterday = ease.fit(whole.select(whole.day < end).compact(), parameters)

    def alternate() -> Iterable[tuple[str, Callable[[], Any], int]]:
        # implicit has threads of its own, and asks that the linear algebra has one.
        yield "iALS", lambda: ials(parts, **best["iALS"]["values"]), 1
        yield "recency-EASE, full", lambda: complete(ease.fit(today, parameters)), THREADS
        yield "recency-EASE, one day more", lambda: complete(ease.update(yesterday, today)), THREADS

    def complete(model: ease.Ease) -> ease.Ease:
        ease.served(model, today)
        return model

    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, work, threads in alternate():
            with threadpool_limits(threads, user_api="blas"):
                before, used = time.perf_counter(), time.process_time()
                result = work()
                found.setdefault(f"{name}, CPU", []).append(time.process_time() - used)
                found.setdefault(name, []).append(time.perf_counter() - before)
            if name.endswith("day more"):
                updated = result
            elif name.endswith("full"):
                full = result
    difference = float(np.abs(updated.weights() - full.weights()).max())
    if difference > 1e-5:
        raise SystemExit(f"The update by a day differs from a full fit by {difference}.")
    return found | {"largest difference": [difference]}


def ratio(better: Judgement, other: Judgement) -> str:
    """Return how many times better the NDCG is, with an interval by drawing customers again."""
    point = better.ndcg.mean() / other.ndcg.mean()
    random = np.random.default_rng(0)
    draws = random.integers(0, len(better.ndcg), (1000, len(better.ndcg)))
    low, high = np.quantile(better.ndcg[draws].mean(axis=1) / other.ndcg[draws].mean(axis=1), [0.025, 0.975])
    return f"{point:.2f} ({low:.2f} to {high:.2f})"


def page(
    arguments: argparse.Namespace,
    best: dict[str, dict[str, Any]],
    judged: dict[str, dict[str, Judgement]],
    seconds: dict[str, list[float]],
) -> str:
    """Return the result as a page."""
    lines = [
        "# Accuracy and training time of the recommender",
        "",
        f"`benchmarks/model/accuracy.py`, {dt.date.today()}, {os.cpu_count()} cores ({computer.machine()}), "
        f"load {os.getloadavg()[0]:.1f}, {THREADS} threads. Tuned on {arguments.tune} to {arguments.test}, "
        f"learnt again from all before {arguments.test}, judged on {arguments.test} to {arguments.end}. "
        "Means over customers; 95 % intervals by bootstrap.",
        "",
    ]
    titles = {
        Task.NEW: "Items that the customer never bought (seen items are masked)",
        Task.AGAIN: "The next baskets (repeats count)",
    }
    for task, models in judged.items():
        customers = len(next(iter(models.values())).ndcg)
        lines += [f"## {titles[Task(task)]}: {customers} customers", ""]
        lines += [
            "| model | NDCG@20 | recall@20 | hit rate | coverage | tuned to |",
            "|---|---|---|---|---|---|",
        ]
        for name, each in models.items():
            its = best.get(name, {}).get("values", {})
            tuned = ", ".join(f"{key} {value:g}" for key, value in its.items())
            if name in best:
                tuned += f" ({best[name]['tried']} tried)"
                if ends := best[name]["at an end"]:
                    tuned += f"; at an end of its list: {', '.join(ends)}"
            cells = [name, str(bootstrap(each.ndcg)), f"{each.recall.mean():.4f}", f"{each.hit.mean():.3f}"]
            lines.append(f"| {' | '.join([*cells, f'{each.coverage:.2f}', tuned])} |")
        lines.append("")
    new, again = judged[Task.NEW], judged[Task.AGAIN]
    lines += ["## Ratios of NDCG@20", "", "| | times (95 %) | bar |", "|---|---|---|"]
    lines += [
        f"| recency-EASE to iALS | {ratio(new['recency-EASE'], new['iALS'])} | 1.10 |",
        f"| recency-EASE to item-kNN BM25 | {ratio(new['recency-EASE'], new['item-kNN BM25'])} | 1.25 |",
        f"| recency-EASE to iALS with recency | {ratio(new['recency-EASE'], new['iALS, recency'])} | none |",
        f"| blend to own frequency, repeats | {ratio(again['blend'], again['own frequency'])} | 1.00 |",
        "",
        "## Training time",
        "",
        "| | median s | CPU s | all, s | all, CPU s | time to | CPU to |",
        "|---|---|---|---|---|---|---|",
    ]
    compared = {"recency-EASE, full": "iALS", "recency-EASE, one day more": "recency-EASE, full"}
    for name in ("iALS", *compared):
        wall, cpu = seconds[name], seconds[f"{name}, CPU"]
        cells = [name, f"{statistics.median(wall):.2f}", f"{statistics.median(cpu):.2f}"]
        cells += [", ".join(f"{each:.2f}" for each in kind) for kind in (wall, cpu)]
        for suffix in ("", ", CPU"):
            to = compared.get(name)
            its, other = (statistics.median(seconds[f"{each or name}{suffix}"]) for each in (name, to))
            cells.append(f"{its / other:.2f} x {to}" if to else "")
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Largest difference of a weight between an update by one day and a full fit: "
        f"{seconds['largest difference'][0]:.1e}.",
        "",
    ]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("METALWORKS_RETAIL_DATA"))
    parser.add_argument("--tune", type=dt.date.fromisoformat, default=dt.date(2011, 9, 1))
    parser.add_argument("--test", type=dt.date.fromisoformat, default=dt.date(2011, 10, 1))
    parser.add_argument("--end", type=dt.date.fromisoformat, default=dt.date(2011, 11, 1))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tuned", type=Path)
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("say where the invoices are: --data FILE_OR_URL, or METALWORKS_RETAIL_DATA")
    return arguments


def main() -> int:
    """Tune, judge, time, and write the result."""
    global THREADS
    arguments = parse()
    THREADS = arguments.threads
    bought = read(arguments.data)
    tuning = prepare.split(bought, arguments.tune, arguments.test)
    if arguments.tuned:
        best = json.loads(arguments.tuned.read_text())["tuned"]
    else:
        with threadpool_limits(1, user_api="blas"):
            best = tune(tuning)
    final = prepare.split(bought, arguments.test, arguments.end)
    with threadpool_limits(1, user_api="blas"):
        judged = evaluate(final, best)
    seconds = times(final, best, arguments.rounds)
    text = page(arguments, best, judged, seconds)
    raw = {
        "tuned": best,
        "judged": {
            task: {name: {"ndcg": each.ndcg.mean(), "recall": each.recall.mean(), "hit": each.hit.mean()}
                   for name, each in models.items()}
            for task, models in judged.items()
        },
        "seconds": seconds,
    }  # fmt: skip
    (HERE / "accuracy.json").write_text(json.dumps(raw, indent=1) + "\n")
    (HERE / "accuracy.md").write_text(text)
    print(text)
    return 0


THREADS = 2

if __name__ == "__main__":
    sys.exit(main())
