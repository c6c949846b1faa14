"""What somebody searches for in the logs, and the query in LogsQL that finds it.

A search is a text of words like `user=ada level=error since=2h`. All conditions hold together. Nothing of it
becomes a part of the query but as a quoted text, so that a value cannot widen a search; who wants all of
LogsQL writes `query=...`, which stands alone.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields

from ..common.slugs import safe_slug
from ..common.suggestions import did_you_mean

POD = "kubernetes.pod_name"
NAMESPACE = "kubernetes.pod_namespace"
CONTAINER = "kubernetes.container_name"
NODE = "kubernetes.pod_node_name"
UNIT = "_SYSTEMD_UNIT"
# KubeSpawner's label of a user's pod. It holds the name where that can be a label, and else its slug.
USER = "kubernetes.pod_labels.hub.jupyter.org/username"

# What programs call their levels, by the least grave that is asked for; a graver one is always meant, too.
# First the words, then the numbers of syslog, then the letters with which lines begin: tornado and JupyterHub
# write `[E 2026-11-26 12:00:00.000`, and klog, which Kubernetes uses, `E1126 12:00:00.000000`.
NAMES = {
    "debug": ("debug|trace", "7", "D"),
    "info": ("info|information|notice", "5|6", "I"),
    "warning": ("warn|warning", "4", "W"),
    "error": ("err|error|crit|critical|fatal|panic|alert|emerg|emergency", "0|1|2|3", "ECF"),
}
LEVELS = tuple(NAMES)
# The store makes `level` of a journal's entry from its PRIORITY (app/vlinsert/journald/journald.go).
FIELDS = ("level", "levelname", "severity")
# What stands before the level where a line begins as Python's logging writes it: a time, a process's number,
# a logger's name between dashes.
BEFORE_WORD = r"([\[(]?[-+0-9]\S*\s+|UTC\s+)*([\w.]+ - )?\[?"
# What stands before it in logfmt: words and values of other keys. A quoted text is the value of a key, and
# what is within it is no level.
BEFORE_KEY = r'([^\s"=]+\s+|[^\s"=]+=("(\\.|[^"\\])*"|[^\s"]*)\s+)*'
DURATION = re.compile(r"[1-9][0-9]{0,5}(s|m|h|d|w)")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
MOST = 10_000


@dataclass(frozen=True)
class Search:
    """The conditions of a search. Empty ones are not asked for."""

    namespace: str = ""
    pod: str = ""  # a pod's name, or how it begins
    container: str = ""
    node: str = ""
    unit: str = ""  # of systemd, in the nodes' journals
    user: str = ""  # of the hub
    level: str = ""  # this one and graver ones
    model_version: str = ""
    request_id: str = ""
    words: str = ""  # that stand in the line, in this order
    query: str = ""  # in LogsQL, instead of all of these
    since: str = "1h"
    limit: str = "200"
    follow: str = ""

    @property
    def seconds(self) -> int:
        """Return how far back it goes."""
        return int(self.since[:-1]) * SECONDS[self.since[-1]]

    @property
    def follows(self) -> bool:
        """Return whether lines that come later are wanted as well."""
        return self.follow in YES


NAMED = tuple(field.name for field in fields(Search))
CONDITIONS = NAMED[: NAMED.index("query")]
YES, NO = ("yes", "true", "1"), ("", "no", "false", "0")


def parse(text: str) -> Search:
    """Return the search that a text asks for; ValueError says what is wrong with it."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the search {text!r} has a quote that does not end") from error
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no condition: write name=value, or words='{word}'")
        if name not in NAMED:
            raise ValueError(
                f"no search goes by {name!r}{did_you_mean(name, NAMED)}: write {', '.join(NAMED)}"
            )
        # As of a variable of the shell that is not set. No condition would widen the search.
        if not value:
            raise ValueError(f"{name} is empty: write a value, or take it out")
        if name in given:
            raise ValueError(f"{name} is given twice: write it once")
        given[name] = value
    search = Search(**given)
    if problem := next(problems(search), None):
        raise ValueError(problem)
    return search


def problems(search: Search) -> Iterator[str]:
    """Yield what is wrong with a search."""
    for name in NAMED:
        value = str(getattr(search, name))
        if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in value):
            yield f"{name} has a character that no line has: take it out"
    if search.query and (used := [name for name in CONDITIONS if getattr(search, name)]):
        yield f"query stands alone, and {', '.join(used)} is given, too: write it into the query"
    if search.level and search.level not in LEVELS:
        yield f"level is {search.level!r}: write one of {', '.join(LEVELS)}"
    if not DURATION.fullmatch(search.since):
        yield f"since is {search.since!r}: write a number with s, m, h, d or w, like 2h"
    if not search.limit.isdecimal() or not 1 <= int(search.limit) <= MOST:
        yield f"limit is {search.limit!r}: write a number from 1 to {MOST}"
    if search.follow not in (*YES, *NO):
        yield f"follow is {search.follow!r}: write yes or no"


def logsql(search: Search) -> str:
    """Return the query. Its time comes beside it."""
    return search.query or " ".join(_filters(search)) or "*"


def _filters(search: Search) -> Iterator[str]:
    """Yield the filters, all of which have to hold. The first is by stream, which costs nearly nothing."""
    if search.namespace:
        yield f"{{{NAMESPACE}={quoted(search.namespace)}}}"
    if search.pod:
        yield f"{quoted(POD)}:={quoted(search.pod)}*"
    for field, value in (
        (CONTAINER, search.container),
        (NODE, search.node),
        (UNIT, search.unit),
        ("model_version", search.model_version),
    ):
        if value:
            yield f"{quoted(field)}:={quoted(value)}"
    if search.user:
        names = ",".join(quoted(name) for name in dict.fromkeys((search.user, safe_slug(search.user))))
        yield f"({quoted(USER)}:in({names}) or user:={quoted(search.user)})"
    if search.request_id:
        yield f"(request_id:={quoted(search.request_id)} or {quoted(search.request_id)})"
    if search.level:
        yield _levels(search.level)
    if search.words:
        yield quoted(search.words)


def _levels(least: str) -> str:
    """Return the filter for a level and graver ones, whether a field or the line itself tells it.

    A line that systemd read from a program's output has the priority of the unit unless the program gives
    another one. There a less grave level in the text is the right one. The kernel's lines are not judged so:
    some that begin with `INFO:` are errors.
    """
    place = LEVELS.index(least)
    meant, lesser = LEVELS[place:], LEVELS[:place]
    names = "|".join("|".join(NAMES[level][:2]) for level in meant)
    in_fields = " or ".join(f"{field}:~{quoted(f'(?i)^({names})$')}" for field in FIELDS)
    if lesser:
        in_fields = f'({in_fields}) !(_TRANSPORT:="stdout" {_in_text(lesser)})'
    return f"({in_fields} or {_in_text(meant)})"


def _in_text(levels: tuple[str, ...]) -> str:
    """Return the filter for lines whose text says one of the levels.

    A key is looked for as a word first, so that few lines are compared with the longest expression.
    """
    words = "|".join(NAMES[level][0] for level in levels)
    letters = "".join(NAMES[level][2] for level in levels)
    begins = rf"^(\[[{letters}] |[{letters}][0-9]{{4}} [0-9]{{2}}:|{BEFORE_WORD}({words.upper()})([\]:\s]|$))"
    keys = "|".join(FIELDS)
    has_key = rf'^({BEFORE_KEY}level="?|\{{[^{{}}]*"({keys})"\s*:\s*")(?i:{words})\b'
    any_key = " or ".join(f"_msg:{field}" for field in FIELDS)
    return f"(_msg:~{quoted(begins)} or ({any_key}) _msg:~{quoted(has_key)})"


def quoted(text: str) -> str:
    """Return a text as LogsQL has it. Its quotes and escapes are those of Go, which JSON's are as well."""
    return json.dumps(text, ensure_ascii=False)
