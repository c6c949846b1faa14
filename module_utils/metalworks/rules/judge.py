"""Judge an inventory on the operator's computer, before any machine is touched.

Each file of this folder has the rules of one area. A rule is a public function that takes nothing but the
platform and yields sentences: where a value is, what is wrong with it, and what to write instead. The rule's
name is the function's. An operator can leave out those that stand in OPTIONAL of their file, by that name
(`preflight_skip`): no role, no program and no other rule refuses later what such a rule refuses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.suggestions import did_you_mean
from ..node.machine_rules import NAMES as MACHINE_RULES
from ..node.machine_rules import OPTIONAL as OPTIONAL_MACHINE_RULES
from . import (
    artifacts,
    aws,
    hosts,
    hub,
    inputs,
    k3s,
    lab,
    logging,
    mlflow,
    model,
    monitoring,
    multipass,
    notebooks,
    object_store,
    operators_computer,
    pages,
    ports,
    registry,
    users,
    whole_platform,
)
from .platform import Platform, UnusableValue

Rule = Callable[[Platform], Iterator[str]]

# In the order in which an operator would correct the inventory.
AREAS: tuple[Any, ...] = (
    whole_platform,
    inputs,
    hosts,
    lab,
    multipass,
    aws,
    k3s,
    users,
    notebooks,
    hub,
    object_store,
    mlflow,
    monitoring,
    logging,
    model,
    pages,
    artifacts,
    registry,
    ports,
    operators_computer,
)


@functools.cache
def rules_of(area: Any) -> list[Rule]:
    """Return the rules of a file, in the order in which it has them."""
    form = {"platform": "Platform", "return": "Iterator[str]"}
    functions = (each for each in vars(area).values() if getattr(each, "__annotations__", None) == form)
    return [each for each in functions if each.__module__ == area.__name__ and each.__name__[0] != "_"]


RULES: dict[str, Rule] = {rule.__name__: rule for area in AREAS for rule in rules_of(area)}
OPTIONAL = (
    *(rule.__name__ for area in AREAS for rule in getattr(area, "OPTIONAL", ())),
    *OPTIONAL_MACHINE_RULES,
)
# What to do about values that a rule refuses which cannot be left out, beside correcting them.
INSTEAD = {
    "k3s_configuration": "write a setting that you insist on into k3s_server_unchecked_config or "
    "k3s_agent_unchecked_config",
}


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
    found = list(_wrong_names(skip))
    left_out = [name for name in RULES if name in skip and name in OPTIONAL]
    for area in AREAS:
        part = getattr(area, "PART", None)
        for rule in rules_of(area) if part is None or platform.has_part(part) else ():
            if rule.__name__ not in left_out:
                found += _said(rule, platform)
    return Judgement(list(dict.fromkeys(found)), left_out)


def _wrong_names(skip: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the names in `preflight_skip`."""
    known = (*RULES, *MACHINE_RULES)
    for name in skip:
        if name not in known:
            yield f"preflight_skip: no rule is called {name!r}{did_you_mean(name, OPTIONAL)}"
        elif name not in OPTIONAL:
            instead = INSTEAD.get(name, "correct the values that it names")
            yield f"preflight_skip: {name} cannot be left out, because the run would fail later; {instead}"


def _said(rule: Rule, platform: Platform) -> Iterator[str]:
    """Yield a rule's sentences. A rule that needs an unusable value ends there."""
    try:
        yield from (f"{sentence} [{rule.__name__}]" for sentence in rule(platform))
    except UnusableValue as error:
        # That an input is missing is said by a rule of its own.
        if error.sentence and error.undefined not in inputs.missing(platform):
            yield f"{error.sentence} [{inputs.templates_of_inputs.__name__}]"
