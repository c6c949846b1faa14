"""Cases that share a run of Ansible, because one refusal names all that is wrong.

A run takes seconds, and there are many cases. So a case joins the first run in which it disturbs nothing: no
other case changes the same value, and the rules find of all of them together what they find of each alone.
Of machines, cases.yml says which ones must be alone. What a run said is kept, and each case remains a test of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.metalworks.rules.judge import judge
from tests.support.inventories import platform
from tests.support.merging import merged

HERE = Path(__file__).resolve().parent
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((HERE / "cases.yml").read_text())
BASE: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "base.yml").read_text())
Case = dict[str, Any]


def changed(cases: Sequence[Case], part: str) -> dict[str, Any]:
    """Return this part of base.yml (hosts or vars) with the changes of all cases in it."""
    result = BASE[part]
    for case in cases:
        result = merged(result, case.get(part, {}))
    return result


def values(change: dict[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of each value that is changed; a dictionary is its values."""
    for key, value in change.items():
        if isinstance(value, dict) and value:
            yield from values(value, *above, key)
        else:
            yield (*above, key)


def collide(one: Case, other: Case) -> bool:
    """Return whether two cases change the same value, or one of them what the other's lies in."""
    parts = ("hosts", "vars")
    ours, theirs = (
        [path for part in parts for path in values(case.get(part, {}), part)] for case in (one, other)
    )
    return any(a[: len(b)] == b[: len(a)] for a in ours for b in theirs)


def problems(cases: Sequence[Case]) -> list[str]:
    """Return what the rules find of these cases at once, sorted. Ansible has no part in it."""
    return sorted(judge(platform(changed(cases, "hosts"), changed(cases, "vars"))).problems)


@cache
def inventories() -> list[list[Case]]:
    """Return the cases of inventories, those of each run together."""
    made: list[tuple[list[Case], list[str]]] = []
    for case in CASES["inventory"]:
        said = problems([case])
        for run, sentences in made:
            together = sorted([*sentences, *said])
            if not any(collide(case, other) for other in run) and problems([*run, case]) == together:
                run.append(case)
                sentences[:] = together
                break
        else:
            made.append(([case], said))
    return [run for run, _ in made]


def machines() -> list[list[Case]]:
    """Return the cases of machines, those of each run together."""
    made: list[list[Case]] = []
    for case in CASES["machine"]:
        for run in made:
            if not any(case.get("alone") or other.get("alone") or collide(case, other) for other in run):
                run.append(case)
                break
        else:
            made.append([case])
    return made


def number_of(case: Case, runs: list[list[Case]]) -> int:
    """Return the number of a case's run."""
    return next(number for number, cases in enumerate(runs) if case in cases)
