#!/usr/bin/env python3
"""Build what the lab cannot download: `lab/build.py [NAME...]`, by default everything that a lab needs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.builder.progress import Progress
from lab.builder.prune import prune
from lab.builder.recipes import all_recipes
from lab.builder.schedule import BuildFailed, Schedule
from module_utils.metalworks.artifacts.cache import cache_root
from module_utils.metalworks.artifacts.catalogue import CatalogueError
from module_utils.metalworks.images.docker import DockerError


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to build (see --list)")
    parser.add_argument(
        "--list", action="store_true", help="list what can be built, and what is built already"
    )
    parser.add_argument("--prune", action="store_true", help="remove former versions and Go's caches")
    parser.add_argument(
        "--path", action="store_true", help="print the paths of files, and the references of images"
    )
    parser.add_argument("--json", action="store_true", help="print everything about each artifact")
    return parser.parse_args()


def listing(schedule: Schedule, names: list[str]) -> str:
    """Return a line for each artifact: whether it is built, its name, and its folder in the cache."""
    states = {name: "made" if schedule.result(name) else "-" for name in names}
    return "\n".join(f"  {states[name]:4}  {name:24} {schedule.folder(name)}" for name in names)


def main() -> int:
    """Build what the command line asks for, print what it asks about, and return the exit code."""
    asked = arguments()
    # SIGTERM stops the build and its programs, as Ctrl+C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    schedule = Schedule(all_recipes(), cache_root(), Progress())
    known = list(schedule.names)
    for name in asked.names:
        if name not in known:
            print(
                f"lab/build.py: no artifact is called {name}; known are {', '.join(known)}", file=sys.stderr
            )
            return 2
    if asked.list:
        print(listing(schedule, known))
        return 0
    if asked.prune:
        print("\n".join(f"  removed {what}" for what in prune(schedule, cache_root())))
        return 0
    wanted = asked.names or schedule.usual
    missing = schedule.missing(wanted)
    results = schedule.ensure(wanted)
    if asked.json:
        printed = {name: {**asdict(result), "changed": name in missing} for name, result in results.items()}
        print(json.dumps(printed))
    elif asked.path:
        print("\n".join(result.path or result.reference for result in results.values()))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BuildFailed, CatalogueError, DockerError) as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped. What was finished stays; run it again to go on.", file=sys.stderr)
        sys.exit(130)
