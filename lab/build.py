#!/usr/bin/env python3
"""Make what the lab cannot download, once: `lab/build.py [NAME...]`, by default all that a lab needs."""

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
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to make (see --list)")
    parser.add_argument("--list", action="store_true", help="list what can be made and what is there")
    parser.add_argument("--prune", action="store_true", help="remove former versions and Go's caches")
    parser.add_argument("--path", action="store_true", help="print the paths, of images the references")
    parser.add_argument("--json", action="store_true", help="print everything about each artifact")
    return parser.parse_args()


def listing(schedule: Schedule, names: list[str]) -> str:
    """Return one line per artifact: there or not, and its place in the cache."""
    states = {name: "made" if schedule.result(name) else "-" for name in names}
    return "\n".join(f"  {states[name]:4}  {name:24} {schedule.folder(name)}" for name in names)


def main() -> int:
    """Make what is asked for and say where it is."""
    asked = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops the children too
    schedule = Schedule(all_recipes(), cache_root(), Progress())
    known = list(schedule.names)
    for name in asked.names:
        if name not in known:
            print(f"lab/build.py: nothing is called {name}; there are {', '.join(known)}", file=sys.stderr)
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
        told = {name: {**asdict(result), "changed": name in missing} for name, result in results.items()}
        print(json.dumps(told))
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
