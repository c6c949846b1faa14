"""Judge an inventory on the operator's computer, before any machine is touched.

Each file of this folder has the rules of one area. A rule is a function that takes the platform and yields
sentences: where a value is, what is wrong with it, and what to write instead. The rule's name is the
function's, and an operator can leave the rule out by that name (`preflight_skip`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.suggestions import did_you_mean
from ..node.machine_rules import NAMES as MACHINE_RULES
from . import artifacts, choices, computer, hosts, hub, inputs, k3s, lab, notebooks, ports, registry, users
from .platform import Platform, UnusableValue

Rule = Callable[[Platform], Iterator[str]]

# In the order in which an operator would correct the inventory.
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
    """The problems, each sentence with its rule's name at the end, and the names of skipped rules."""

    problems: list[str]
    skipped: list[str]


def judge(platform: Platform, skip: Sequence[Any] = ()) -> Judgement:
    """Return everything that is wrong with the platform. Rules in `skip` are not asked.

    `skip` may name rules for machines as well, which judge later (node/machine_rules.py).
    """
    known = (*RULES, *MACHINE_RULES)
    found = [
        f"preflight_skip: no rule is called {name!r}{did_you_mean(name, known)}"
        for name in skip
        if name not in known
    ]
    wrong = inputs.wrong_types(platform)
    usable = platform.without({host: set(names) for host, names in wrong.items()})
    for name, rule in _chosen(usable, skip):
        found += _said(name, rule, platform if rule in inputs.RULES else usable)
    return Judgement(list(dict.fromkeys(found)), [name for name in RULES if name in skip])


def _chosen(platform: Platform, skip: Sequence[Any]) -> Iterator[tuple[str, Rule]]:
    """Yield the rules for the parts that this inventory installs, with their names."""
    for area in AREAS:
        part = getattr(area, "PART", None)
        try:
            installed = part is None or platform.has_part(part)
        except UnusableValue:
            installed = False
        if installed:
            yield from ((rule.__name__, rule) for rule in area.RULES if rule.__name__ not in skip)


def _said(name: str, rule: Rule, platform: Platform) -> Iterator[str]:
    """Yield a rule's sentences. A rule that needs an unusable value ends there."""
    try:
        yield from (f"{sentence} [{name}]" for sentence in rule(platform))
    except UnusableValue as error:
        if error.sentence:
            yield error.sentence
