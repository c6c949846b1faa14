"""Run one part: `python -m metalworks_model PART`. Settings come from the environment (see settings.py)."""

from __future__ import annotations

import argparse
import logging
import os
import sys

# One thread of linear algebra for each request: many of them on few cores slow one another down.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(arguments: list[str] | None = None) -> int:
    """Run a part, and return the exit status. What a part needs is imported when it runs."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from .settings import Settings, SettingsProblem

    parser = argparse.ArgumentParser(prog="metalworks_model", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("serve", help="answer requests with the champion of the registry")
    chosen = parser.parse_args(arguments)
    try:
        settings = Settings.read()
    except SettingsProblem as problem:
        print(problem, file=sys.stderr)
        return 2
    if chosen.part == "serve":
        from .serve.run import main as run

        return run(settings)
    raise AssertionError(chosen.part)


if __name__ == "__main__":
    sys.exit(main())
