"""Rules for all inputs.

Each is known, given if it is required, of the right type, and visible where it is used.

Inputs are specified in each role's meta/argument_specs.yml. Ansible checks them when the role begins, which
is too late: machines have been changed by then. So here the whole inventory is compared with all
specifications.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..common.sentences import listed
from ..common.suggestions import did_you_mean, nearest
from .platform import LOCALHOST, UNUSABLE, Judged, Platform, UnusableValue

Option = Mapping[str, Any]

PLATFORM = "platform_defaults"
# Variables of other projects begin with these words, too, so they are not judged as inputs.
ROLES_WITH_COMMON_NAMES = {"node", PLATFORM}
# A variable that is so like an input (0 to 1) counts as a typing error, whatever it begins with.
SLIP = 0.88
# Inputs that are used on machines only.
MACHINES_ONLY = {"k3s_token", "k3s_registries"}
# Names that other projects have for an input -> the name here.
FOREIGN = {"k3s_version": "write metalworks_artifacts: {k3s: {upstream: {version: ...}}}"}
# The texts that Ansible reads as true and as false (ansible.module_utils.parsing.convert_bool).
ON = {"y", "yes", "on", "1", "true", "t", "1.0"}
OFF = {"n", "no", "off", "0", "false", "f", "0.0"}
# The ends of names of sizes, which are texts because of their units.
SIZE = re.compile(r"(_size|_capacity|mem(ory)?_(limit|guarantee))\Z")
# Values that an operator may expect, and why they are refused.
UNSUPPORTED_CHOICES = {
    "metalworks_artifact_source is 'bundle'": (
        "bundles for closed networks cannot be made yet; write upstream, with mirrors in "
        "metalworks_artifacts and k3s_registries (docs/how-to/artifacts.md)"
    )
}


def options(platform: Platform) -> dict[str, Option]:
    """Return all inputs of all roles by name."""
    return {name: option for role in platform.specs.values() for name, option in role.items()}


# Each rule yields sentences: where it is, what is wrong, and what to write instead.


def missing_inputs(platform: Platform) -> Iterator[str]:
    """Refuse an inventory without a required input, or with one that only machines have."""
    for name, option in _required(platform):
        if hosts := _out_of_sight(platform, name):
            yield _not_for_localhost(name, hosts)
        elif not platform.gives(name):
            meaning = _first_sentence(option.get("description", ""))
            yield f"{name} is missing: write it into group_vars/all. {meaning}"


def inputs_out_of_sight(platform: Platform) -> Iterator[str]:
    """Refuse an input that only machines have and that is used on the operator's computer."""
    here = platform.given[LOCALHOST]
    for name, option in _used_here(platform):
        if name in MACHINES_ONLY:
            continue
        if hosts := _out_of_sight(platform, name):
            if not option.get("required"):  # of which missing_inputs speaks
                yield _not_for_localhost(name, hosts)
        elif other := [
            host for host, its in platform.given.items() if name in its and its[name] != here[name]
        ]:
            yield (
                f"{name} is another one for {listed(other)} than for localhost, and the platform has only "
                "one: write it into group_vars/all, and nowhere else"
            )


def unknown_inputs(platform: Platform) -> Iterator[str]:
    """Refuse a variable that has a role's prefix and is no input, because nothing would read it."""
    known = options(platform)
    roles = [role for role in platform.specs if role not in ROLES_WITH_COMMON_NAMES]
    prefixes = ("metalworks_", "k3s_", *(f"{role}_" for role in roles))
    # Names that begin with two underscores are registered by roles, and plays that ran before have left them.
    names = {name for variables in platform.given.values() for name in variables if not name.startswith("__")}
    for name in sorted(names - set(known)):
        if name.startswith(prefixes) or nearest(name, known, 1, SLIP):
            hint = f": {FOREIGN[name]}" if name in FOREIGN else did_you_mean(name, known)
            yield f"{name} is no input of this platform, so nothing would read it{hint or ': take it out'}"


def types_of_inputs(platform: Platform) -> Iterator[str]:
    """Refuse values of another type than the roles use."""
    return _by_host(platform, {host: its.wrong for host, its in platform.judged.items()})


def templates_of_inputs(platform: Platform) -> Iterator[str]:
    """Refuse values with a template that cannot be resolved."""
    return _by_host(platform, {host: its.unresolved for host, its in platform.judged.items()})


OPTIONAL = (inputs_out_of_sight, unknown_inputs)


def _used_here(platform: Platform) -> list[tuple[str, Option]]:
    """Return the inputs that are used on the operator's computer, each with its specification."""
    return [each for role in (PLATFORM, *platform.parts) for each in platform.specs.get(role, {}).items()]


def _required(platform: Platform) -> list[tuple[str, Option]]:
    return [(name, option) for name, option in _used_here(platform) if option.get("required")]


def missing(platform: Platform) -> list[str]:
    """Return the required inputs that the operator's computer does not get."""
    return [name for name, _ in _required(platform) if not platform.gives(name)]


def _out_of_sight(platform: Platform, name: str) -> list[str]:
    """Return the machines that alone have an input which is used on the operator's computer."""
    if name in MACHINES_ONLY or name in platform.given[LOCALHOST]:
        return []
    return [host for host, its in platform.given.items() if name in its]


def _not_for_localhost(name: str, hosts: Sequence[str]) -> str:
    return (
        f"{name} is written for {listed(hosts)} and not for localhost, where it is needed, too: write it "
        "into group_vars/all (in an inventory of one file: below all.vars)"
    )


def _by_host(platform: Platform, sentences: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield each sentence once, with the hosts that it is about, if it is not about all."""
    said: dict[str, list[str]] = {}
    for host, its in sentences.items():
        for sentence in its:
            said.setdefault(sentence, []).append(host)
    for sentence, hosts in said.items():
        everywhere = LOCALHOST in hosts or len(hosts) == len(platform.hosts)
        yield sentence if everywhere else f"{listed(hosts)}: {sentence}"


def typed(platform: Platform) -> Platform:
    """Return the platform with each given input as the type that its role uses.

    A wrong value is marked as unusable: a rule that asks for it ends there. Of a list, wrong entries are left
    out, so that the others are judged. A required value that localhost lacks is unusable, too
    (missing_inputs speaks of it).
    """
    known = options(platform)
    judged = {
        host: _judged(variables, platform.values if host == LOCALHOST else platform.hosts[host], known)
        for host, variables in platform.given.items()
    }
    here = judged[LOCALHOST]
    hosts = {host: judged[host] for host in platform.hosts}
    result = replace(platform, values=here, hosts=hosts, judged=judged)
    here.typed.update(dict.fromkeys(missing(result), UNUSABLE))
    return result


def _judged(given: Mapping[str, Any], values: Mapping[str, Any], known: Mapping[str, Option]) -> Judged:
    """Return a host's variables, those that are inputs with their types."""
    result = Judged(values)
    for name in given:
        if name in known:
            try:
                result.typed[name], sentences = _read(name, values[name], known[name])
                result.wrong += sentences
            except UnusableValue as error:  # its template cannot be resolved
                result.typed[name] = UNUSABLE
                result.unresolved += [error.sentence] if error.sentence else []
    return result


# One value and its specification.


def _read(name: str, value: Any, option: Option) -> tuple[Any, list[str]]:
    """Return what rules may use of a value, and what is wrong with it."""
    if value is None:
        if option.get("default", ...) is None:
            return None, []
        return UNUSABLE, [f"{name} has no value: write one{_or_none(option)}"]
    kind = str(option.get("type", "str"))
    if kind == "list" and not TYPES[kind](value):
        entries = [list(_entry_problems(name, number, item, option)) for number, item in enumerate(value, 1)]
        right = [item for item, sentences in zip(value, entries, strict=True) if not sentences]
        nothing_is_left = bool(value) and not right
        return UNUSABLE if nothing_is_left else right, [each for sentences in entries for each in sentences]
    value = _word_for_flag(value, option)
    sentences = list(_problems(name, value, option))
    return UNUSABLE if sentences else CONVERSIONS.get(kind, _same)(value), sentences


def _word_for_flag(value: Any, option: Option) -> Any:
    """Return the choice that was meant where YAML read a word without quotes, such as off, as a flag.

    Ansible does the same for the roles and modules (module_utils.common.parameters, check_argument_values).
    """
    if not isinstance(value, bool):
        return value
    words = [
        choice for choice in option.get("choices") or () if str(choice).lower() in (ON if value else OFF)
    ]
    return words[0] if len(words) == 1 else value


def _or_none(option: Option) -> str:
    return "" if option.get("required") else ", or take the line out"


def _problems(where: str, value: Any, option: Option) -> Iterator[str]:
    if value is None:
        if option.get("default") is not None or option.get("required"):
            yield f"{where} has no value: write one{_or_none(option)}"
        return
    kind = str(option.get("type", "str"))
    wrong = TYPES[kind](value)
    if wrong and isinstance(value, (int, float)) and not isinstance(value, bool) and SIZE.search(where):
        yield f"{where} is a number ({value}): write it with its unit, as in {option.get('default') or '2G'}"
        return
    if wrong and kind == "str" and option.get("choices"):
        choices = ", ".join(map(str, option["choices"]))
        yield f"{where} is no text but {_found(value, option)}: write one of {choices}"
        return
    if wrong:
        yield f"{where} is {wrong.format(found=_found(value, option))}"
        return
    if kind == "list":
        for number, item in enumerate(value, 1):
            yield from _entry_problems(where, number, item, option)
        return
    yield from _choice_problems(where, value, option)
    if kind == "dict" and option.get("options"):
        yield from _key_problems(where, value, option["options"])


def _entry_problems(where: str, number: int, item: Any, option: Option) -> Iterator[str]:
    """Yield what is wrong with one entry of a list. Choices are those of each entry."""
    place = f"{where}, entry {number}"
    if item is None:
        yield f"{place} is empty: write it, or take the dash out"
        return
    element = {"type": option.get("elements", "raw"), "options": option.get("options")}
    yield from _inner_problems(place, item, element)
    yield from _choice_problems(where, item, option)


def _key_problems(where: str, value: Mapping[str, Any], known: Mapping[str, Option]) -> Iterator[str]:
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known, f"; known are {', '.join(sorted(known))}")
            yield f"{where} has the unknown key {str(key)!r}{hint}"
    for key, option in known.items():
        if key in value:
            yield from _inner_problems(f"{where}, {key}", value[key], option)
        elif option.get("required"):
            yield f"{where} has no {key}: {_first_sentence(option.get('description', ''))}"


def _inner_problems(where: str, value: Any, option: Option) -> Iterator[str]:
    """Yield what is wrong with a value inside of a list or a dictionary.

    A text is no flag and no number there. Only the file of an inventory can hold it, so its type can be
    right; and roles pass lists and dictionaries on as they are, where the text "no" would count as true.
    """
    kind = option.get("type")
    if isinstance(value, str) and kind in INSIDE:
        yield f"{where} is {_found(value, option)}: write {INSIDE[kind]}"
    else:
        yield from _problems(where, value, option)


def _choice_problems(where: str, value: Any, option: Option) -> Iterator[str]:
    choices = [str(choice) for choice in option.get("choices") or ()]
    if choices and str(value) not in choices:
        usual = f"write one of {', '.join(choices)}{did_you_mean(value, choices)}"
        found = f"{where} is {value!r}"
        yield f"{found}: {UNSUPPORTED_CHOICES.get(found, usual)}"


def _found(value: Any, option: Option) -> str:
    """Return a value for a message: in words, and the value itself only if it cannot be a secret."""
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, (list, tuple)):
        return "a list"
    kind, shown = "a text", repr(value)
    if isinstance(value, bool):
        kind = "true or false"
    elif isinstance(value, (int, float)):
        kind = "a number"
    elif isinstance(value, datetime.date):
        kind, shown = "a date", str(value)
    return kind if option.get("no_log") else f"{kind} ({shown})"


def _first_sentence(description: str | Sequence[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return f"{' '.join(text.split()).partition('. ')[0].rstrip('.')}."


# The types of argument_specs, judged strictly. Ansible's own check also accepts values that it could
# convert (a number for a text, a text with commas for a list), but the role gets the value as it was
# written. The command line (-e name=no) and inventories in the format INI have no flags and numbers but
# texts, so those are taken: the rules get them converted (CONVERSIONS), and the roles convert them where
# they are used (`| bool`, `| int`, `| float`; held by tests/unit/test_conventions.py).


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return None
    remedy = "write a text" if isinstance(value, (Mapping, list, tuple)) else "write it in quotes"
    return f"no text but {{found}}: {remedy}"


def _whole_number(value: Any) -> str | None:
    digits = str(value).removeprefix("-")
    right = not isinstance(value, (bool, float)) and digits.isascii() and digits.isdigit()
    return None if right else "no whole number but {found}: write one, without quotes"


def _number(value: Any) -> str | None:
    try:
        float(value)
    except (TypeError, ValueError):
        return "no number but {found}: write one, without a unit and without quotes"
    return "no number but {found}: write one" if isinstance(value, bool) else None


def _flag(value: Any) -> str | None:
    return None if str(value).lower() in ON | OFF else "neither true nor false but {found}: write one of them"


def _list(value: Any) -> str | None:
    return None if isinstance(value, (list, tuple)) else "no list but {found}: write each entry behind a dash"


def _dictionary(value: Any) -> str | None:
    return (
        None if isinstance(value, Mapping) else "no dictionary but {found}: write keys, each with its value"
    )


def _anything(_value: Any) -> str | None:
    return None


TYPES: dict[str, Callable[[Any], str | None]] = {
    "str": _text,
    "path": _text,
    "int": _whole_number,
    "float": _number,
    "bool": _flag,
    "list": _list,
    "dict": _dictionary,
    "raw": _anything,
}


def _same(value: Any) -> Any:
    return value


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "bool": lambda value: str(value).lower() in ON,
    "int": int,
    "float": float,
}
# What to write for a type inside of a list or a dictionary.
INSIDE = {
    "bool": "true or false, without quotes",
    "int": "a whole number, without quotes",
    "float": "a number such as 0.5, without a unit and without quotes",
}
