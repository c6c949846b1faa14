"""Run one part: `python -m metalworks_model PART`. Settings come from the environment (see settings.py)."""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

# Many threads of linear algebra on few cores slow one another down; a part that wants more says so by
# `threads`.
os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ.get("METALWORKS_MODEL_THREADS", "1"))


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    found = argparse.ArgumentParser(prog="metalworks_model", description=__doc__)
    parts = found.add_subparsers(dest="part", required=True)
    make = parts.add_parser(
        "generate", help="write invoices of a shop that does not exist, a file for each day"
    )
    make.add_argument("folder", type=Path)
    make.add_argument("--first", type=dt.date.fromisoformat, default=dt.date(2010, 12, 1))
    make.add_argument("--days", type=int, default=305)
    make.add_argument("--customers", type=int, default=4000)
    make.add_argument("--items", type=int, default=3500)
    take = parts.add_parser("ingest", help="take over days of a source")
    take.add_argument("--first", type=dt.date.fromisoformat)
    take.add_argument("--last", type=dt.date.fromisoformat)
    train = parts.add_parser("train", help="train a candidate, judge it, publish it")
    train.add_argument(
        "--no-promotion", action="store_true", help="publish the version, and let no alias point to it"
    )
    parts.add_parser("serve", help="answer requests with the champion of the registry")
    parts.add_parser("shop", help="serve the shop's page")
    parts.add_parser("watch", help="show drift, hit rates and ages to Prometheus")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run a part. 0 is success, 1 a problem with what was found, 2 one with settings or the command line."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from .settings import Settings, SettingsProblem

    chosen = parser().parse_args(arguments)
    try:
        return run(chosen, Settings.read())
    except SettingsProblem as problem:
        print(problem, file=sys.stderr)
        return 2
    except (ValueError, RuntimeError, OSError) as problem:
        logging.getLogger("metalworks_model").error("%s", problem)
        return 1


def run(chosen: argparse.Namespace, settings: Settings) -> int:
    """Run a part with its settings. What a part needs is imported here, so that serving stays small."""
    match chosen.part:
        case "generate":
            from .data.generate import World, write

            world = World(
                seed=settings.seed, first=chosen.first, customers=chosen.customers, items=chosen.items
            )
            write(chosen.folder, world, chosen.days)
            return 0
        case "ingest":
            from .data.run import ingest

            return 1 if ingest(settings, chosen.first, chosen.last)[1] else 0
        case "train" if int(os.environ.get("JOB_COMPLETION_INDEX", "0")):
            from .train.workers import work

            work(settings)
            return 0
        case "train" if settings.kind == "anomalies":
            from .train.run_anomalies import train as train_anomalies

            train_anomalies(settings, not chosen.no_promotion)
            return 0
        case "train":
            from .train.run import train

            train(settings, not chosen.no_promotion)
            return 0
        case "serve":
            from .serve.run import main as serve

            return serve(settings)
        case "shop":
            from .shop.run import main as shop

            return shop(settings)
        case "watch":
            from .watch.run import main as watch

            return watch(settings)
    raise AssertionError(chosen.part)


if __name__ == "__main__":
    sys.exit(main())
