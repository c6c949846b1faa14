"""Judge an inventory on the operator's computer, before any machine is touched.

Each file of this folder has the rules of one area. A rule is a function that takes the platform and yields
sentences: where a value is, what is wrong with it, and what to write instead. The rule's name is the
function's, and an operator can leave the rule out by that name (`preflight_skip`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..common.suggestions import did_you_mean
from ..node.machine_rules import NAMES as MACHINE_RULES
from . import (
    artifacts,
    choices,
    computer,
    hosts,
    hub,
    inputs,
    k3s,
    lab,
    mlflow,
    notebooks,
    object_store,
    ports,
    registry,
    users,
)
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
    object_store,
    mlflow,
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


def judge(platform: Platform) -> Judgement:
    """Return everything that is wrong with the platform. Rules in `preflight_skip` are not asked.

    It may name rules for machines as well, which judge later (node/machine_rules.py).
    """
    platform = inputs.typed(platform)
    try:
        skip = platform.values["preflight_skip"]
    except UnusableValue:
        skip = []
    known = (*RULES, *MACHINE_RULES)
    found = [
        f"preflight_skip: no rule is called {name!r}{did_you_mean(name, known)}"
        for name in skip
        if name not in known
    ]
    for area in AREAS:
        part = getattr(area, "PART", None)
        for rule in area.RULES if part is None or platform.has_part(part) else ():
            if rule.__name__ not in skip:
                found += _said(rule, platform)
    return Judgement(list(dict.fromkeys(found)), [name for name in RULES if name in skip])


def _said(rule: Rule, platform: Platform) -> Iterator[str]:
    """Yield a rule's sentences. A rule that needs an unusable value ends there."""
    try:
        yield from (f"{sentence} [{rule.__name__}]" for sentence in rule(platform))
    except UnusableValue as error:
        if error.sentence:
            yield f"{error.sentence} [{inputs.templates_of_inputs.__name__}]"
