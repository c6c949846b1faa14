"""Is this inventory right? Asked on the operator's computer, before any machine is touched.

`judge()` is the whole of it. Each file of this folder has the rules of one area, and each rule is a
function that takes the platform and yields sentences: where it is, what is wrong, and what to write
instead. A rule is called as its function, and an operator who knows better leaves it out by that name
(`preflight_skip`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.suggestions import did_you_mean
from . import artifacts, choices, computer, hosts, hub, inputs, k3s, lab, notebooks, ports, registry, users
from .platform import Platform, UnusableValue

Rule = Callable[[Platform], Iterator[str]]

# In the order in which one would put things right.
AREAS: tuple[Any, ...] = (
    choices,
    inputs,
    hosts,
    lab,
    k3s,
    users,
    notebooks,
    hub,
    artifacts,
    registry,
    ports,
    computer,
)
RULES: dict[str, Rule] = {rule.__name__: rule for area in AREAS for rule in area.RULES}


@dataclass(frozen=True)
class Judgement:
    """What is wrong, each sentence with its rule's name at the end, and which rules were left out."""

    problems: list[str]
    skipped: list[str]


def judge(platform: Platform, skip: Sequence[Any] = ()) -> Judgement:
    """Return all that is wrong, but for the rules that the operator leaves out."""
    found = [
        f"preflight_skip: no rule is called {name!r}{did_you_mean(name, RULES)}"
        for name in skip
        if name not in RULES
    ]
    wrong = inputs.wrong_types(platform)
    usable = platform.without({host: set(names) for host, names in wrong.items()})
    for name, rule in _chosen(usable, skip):
        found += _said(name, rule, platform if rule in inputs.RULES else usable)
    return Judgement(list(dict.fromkeys(found)), [name for name in RULES if name in skip])


def _chosen(platform: Platform, skip: Sequence[Any]) -> Iterator[tuple[str, Rule]]:
    """Return the rules for what this inventory installs."""
    for area in AREAS:
        part = getattr(area, "PART", None)
        try:
            installed = part is None or platform.has_part(part)
        except UnusableValue:
            installed = False
        if installed:
            yield from ((rule.__name__, rule) for rule in area.RULES if rule.__name__ not in skip)


def _said(name: str, rule: Rule, platform: Platform) -> Iterator[str]:
    """Return a rule's sentences; where it needs a value that cannot be used, those up to there."""
    try:
        yield from (f"{sentence} [{name}]" for sentence in rule(platform))
    except UnusableValue as error:
        if error.sentence:
            yield error.sentence
