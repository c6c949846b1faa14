#!/usr/bin/env python3
"""Run site.yml twice at each place to run, test the platform, and remove it. Print one row for each target.

`make test-targets` runs all targets, `make test-targets TARGETS=metal` one; test-output/targets/ keeps the
output.
The targets differ only by their inventories, and by what must exist before site.yml: machines of `metal`, the
cluster of `existing`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("tests/targets")
LOGS = ROOT / "test-output" / "targets"
# The tests have their own lab and multipass, so that yours are not touched.
ENVIRONMENT = {
    "METALWORKS_LAB": "reach",
    "METALWORKS_LAB_SUBNET": "172.30.16",
    "METALWORKS_MULTIPASS": "reach-multipass",
    "METALWORKS_MULTIPASS_SUBNET": "172.30.17.0/24",
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_FORCE_COLOR": "0",
    "PATH": f"{ROOT / 'lab/multipass/bin'}:{os.environ['PATH']}",
}
WIDTH = 140
HEADER = ("target", "site.yml", "again", "changed", "passed", "skipped", "failed", "verdict")


@dataclass(frozen=True)
class Target:
    """A place to run.

    Its inventory, and the playbooks that make and remove what must exist before site.yml.
    """

    name: str
    inventory: str
    before: Sequence[str] = ()
    after: Sequence[str] = ("playbooks/down.yml",)
    variables: Sequence[str] = ()
    within: str = ""


TARGETS = (
    Target("lab", "inventories/lab", variables=("lab_machines_outdated=replace",)),
    Target(
        "existing",
        str(HERE / "inventories/existing"),
        before=(f"{HERE}/existing_registry.yml",),
        after=("playbooks/down.yml", f"{HERE}/existing_registry_gone.yml"),
        within="lab",
    ),
    Target("single", str(HERE / "inventories/single")),
    Target("multipass", "inventories/multipass", variables=(f"@{HERE}/rehearsal.yml",)),
    Target(
        "metal",
        str(HERE / "inventories/metal"),
        before=(f"{HERE}/metal_machines.yml",),
        after=("playbooks/down.yml", f"{HERE}/metal_machines_gone.yml"),
    ),
    Target(
        "upstream",
        str(HERE / "inventories/upstream"),
        before=(str(HERE / "upstream_sites.yml"),),
        after=(str(HERE / "upstream_sites_gone.yml"), "playbooks/down.yml"),
    ),
)


@dataclass
class Row:
    """The results of a target."""

    target: str
    seconds: list[int] = field(default_factory=list)
    changed: int = -1
    counts: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def good(self) -> bool:
        return not self.failure

    def cells(self) -> list[str]:
        times = [f"{seconds} s" for seconds in self.seconds] + ["-"] * (2 - len(self.seconds))
        changed = "-" if self.changed < 0 else str(self.changed)
        counts = [str(self.counts.get(name, "-")) for name in ("passed", "skipped", "failed")]
        return [self.target, *times, changed, *counts, self.failure or "ok"]


class Failed(Exception):
    """A step failed; the message names it and the file with its output."""


def run(log: Path, *command: str) -> str:
    """Run a command and return its output, which is also written to the log while it runs."""
    with log.open("a+") as output:
        print(f"$ {' '.join(command)}", file=output, flush=True)
        start = output.tell()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.seek(start)
        said = output.read()
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} {command[-1]} failed, see {log.relative_to(ROOT)}")
    return said


def play(target: Target, playbook: str, log: Path) -> str:
    variables = [word for each in target.variables for word in ("--extra-vars", each)]
    return run(log, "ansible-playbook", "--inventory", target.inventory, *variables, playbook)


def changed(said: str) -> int:
    """Return the number of changes on all hosts, from the recap of a playbook."""
    return sum(int(count) for count in re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", said, re.MULTILINE))


def counts(report: Path) -> dict[str, int]:
    """Return how many tests passed, were skipped and failed, from pytest's report."""
    suite = next(iter(ElementTree.parse(report).getroot()))
    number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    return {
        "passed": number["tests"] - failed - number["skipped"],
        "skipped": number["skipped"],
        "failed": failed,
    }


def prove(target: Target, row: Row, log: Path) -> None:
    """Run site.yml twice, then the tests."""
    for _ in range(2):
        began = time.monotonic()
        row.changed = changed(play(target, "site.yml", log))
        row.seconds.append(round(time.monotonic() - began))
    report = LOGS / f"{target.name}.xml"
    try:
        asked = (
            "tests/platform",
            "tests/browser",
            f"--junit-xml={report}",
            f"--inventory={target.inventory}",
        )
        run(log, "pytest", *asked)
    finally:
        row.counts = counts(report) if report.exists() else {}
    if row.changed:
        raise Failed(f"the second run changed {row.changed}")


def reach(target: Target, chosen: Sequence[str]) -> list[Row]:
    """Test a target and those that run within it, then remove it."""
    log = LOGS / f"{target.name}.log"
    log.unlink(missing_ok=True)
    row = Row(target.name)
    rows = [row] if target.name in chosen else []
    print(f"{target.name}: its output goes to {log.relative_to(ROOT)}", flush=True)
    try:
        for playbook in target.before:
            play(target, playbook, log)
        if rows:
            prove(target, row, log)
        else:
            play(target, "playbooks/machines.yml", log)  # another target needs its cluster, and no more
            play(target, "playbooks/cluster.yml", log)
        for guest in TARGETS:
            if guest.within == target.name and guest.name in chosen:
                rows += reach(guest, chosen)
    except Failed as failure:
        row.failure = str(failure)
        rows = rows or [row]
    finally:
        rows += remove(target, log)
    return rows


def remove(target: Target, log: Path) -> list[Row]:
    """Remove what was made. A failed removal gets a row of its own."""
    try:
        for playbook in target.after:
            play(target, playbook, log)
    except Failed as failure:
        return [Row(f"{target.name}, removal", failure=str(failure))]
    return []


def table(rows: Sequence[Row]) -> Table:
    result = Table(*HEADER, box=box.MARKDOWN)
    for row in rows:
        result.add_row(*row.cells())
    return result


def main() -> int:
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(names))
    chosen = parser.parse_args().targets or names
    for name in chosen:
        if name not in names:
            parser.error(f"no target is called {name}; there are {', '.join(names)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    grounds = [target for target in TARGETS if not target.within]
    wanted = {target.within or target.name for target in TARGETS if target.name in chosen}
    rows = [row for target in grounds if target.name in wanted for row in reach(target, chosen)]
    Console(width=WIDTH).print(table(rows))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
