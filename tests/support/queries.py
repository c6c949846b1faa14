"""What queries to Prometheus ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from ansible.module_utils.metalworks.monitoring.parts import FILES, boards_of, files_of

PARTS = sorted(path.name for path in FILES.iterdir() if path.is_dir())
# What stands in a query and is no measurement: operators and functions.
WORDS = {
    *(
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "and",
        "or",
        "unless",
        "bool",
        "offset",
    ),
    *("sum", "avg", "min", "max", "count", "topk", "rate", "increase", "histogram_quantile", "absent"),
    *("vector", "time", "timestamp", "abs", "predict_linear", "deriv", "max_over_time", "label_replace"),
}
NAME = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A value of promtool's tests, or several: 1, 1x4, 0+1x4, _ (none), _x4, stale.
VALUE = re.compile(r"(?P<none>_|stale)?[^x]*(?:x(?P<more>\d+))?")
# In this order: texts, matchers, ranges, and the labels that operators name.
NO_NAMES = (
    r'"[^"]*"',
    r"\{[^}]*\}",
    r"\[[^\]]*\]",
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)",
)

# What two ports of a server could both serve, without what Prometheus says of its scrapes.
SERIES = '{job=~"apiserver|kubelet",__name__!~"up|scrape_.+"}'
# The same series from one host under another job, instance or path. Empty means that none is stored twice.
DUPLICATES = (
    "count without (job, instance, endpoint, service, metrics_path, pod, container) "
    f'(label_replace(label_replace({SERIES}, "host", "$1", "instance", "([^:]+):.*"), '
    '"metric", "$1", "__name__", "(.+)")) > 1'
)

# What fires and should not where all is well. Two are right on a computer that is busy with other work. The
# third goes by what the kernel counts for the whole computer: a lab's machines share it with each other and
# with the tests that exceed a limit on purpose.
FIRES = 'ALERTS{alertname!~"Watchdog|ApiSlow|ApiStorageSlow|NodeOutOfMemory",alertstate="firing"}'


def names(query: str) -> set[str]:
    """Return the measurements that a query asks for."""
    for pattern in NO_NAMES:
        query = re.sub(pattern, " ", query)
    return set(NAME.findall(query)) - WORDS


def seconds(text: str) -> int:
    """Return how long a duration of Prometheus lasts, like 1h30m."""
    assert re.fullmatch(r"(\d+[smhd])+", text), text
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def values(text: str) -> list[bool]:
    """Return for each step of a series in promtool's tests whether it has a value then."""
    there: list[bool] = []
    for word in text.split():
        found = VALUE.fullmatch(word)
        assert found, word
        # promtool repeats what follows a value, so 1x4 is five of them, and _x4 is four without.
        more = int(found["more"] or 0)
        there += [False] * max(more, 1) if found["none"] else [True] * (more + 1)
    return there


def rules(part: str) -> Iterator[dict[str, Any]]:
    """Yield the alerts of a part, as their files have them, each with its group's interval."""
    for path in files_of(part, "rules"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from ({**rule, "interval": group.get("interval"), "path": path} for rule in group["rules"])


def panels(part: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the panels of a part's dashboards, each with the dashboard's name."""
    for name, board in boards_of([part]).items():
        yield from ((name, panel) for panel in board["panels"])


def asked(part: str) -> dict[str, str]:
    """Return all measurements that a part's rules and panels ask for, each with one place that does."""
    found = {name: rule["alert"] for rule in rules(part) for name in names(rule["expr"])}
    for board, panel in panels(part):
        place = f"{board}, {panel['title']}"
        found |= {name: place for query in panel["queries"] for name in names(query["expr"])}
    return found
