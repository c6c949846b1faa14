"""The cause of a start that failed is told from the line that ended it, and not from the noise above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s.cause import CAUSES, last_attempt, likely_cause, telling_lines
from tests.support.modules import cases


def entry(level: str, message: str) -> str:
    """A line as k3s writes it."""
    quoted = message.replace('"', '\\"')
    return f'time="2026-03-02T06:14:10Z" level={level} msg="{quoted}"'


def written(lines: Sequence[dict[str, str] | str]) -> list[str]:
    """A case's lines as they stand in the journal."""
    return [line if isinstance(line, str) else entry(*next(iter(line.items()))) for line in lines]


# What stands in the journal of a good start, too, while the parts of k3s wait for each other.
REFUSED = "dial tcp 127.0.0.1:6444: connect: connection refused"
NOISE = [
    "Starting k3s.service - k3s server...",
    entry("info", "Starting k3s v1.36.2+k3s1 (0badcafe)"),
    entry(
        "info", f'Waiting to retrieve kube-proxy configuration; server is not ready: Get "/readyz": {REFUSED}'
    ),
    f'E0302 06:14:09.310000    4711 reflector.go:200] "Failed to watch" err="list *v1.Node: {REFUSED}"',
    entry("error", "Failed to watch nodes: Unauthorized"),
]
END = "k3s.service: Main process exited, code=exited, status=1/FAILURE"


@pytest.mark.parametrize("case", cases(__file__))
def test_cause(case: dict[str, Any]) -> None:
    lines = written(case["lines"])
    journal = [*NOISE, *lines, END]
    cause = likely_cause(last_attempt(journal))
    if case["says"] is None:
        assert cause is None
    else:
        assert case["says"] in str(cause)
    assert telling_lines(journal)[-1] == lines[-1] or case.get("not_an_error")


def test_every_cause_has_a_case() -> None:
    told = {likely_cause(written(case.values[0]["lines"])) for case in cases(__file__)}
    assert {meaning for _, meaning in CAUSES} <= told


def test_noise_alone_is_no_cause() -> None:
    assert likely_cause(NOISE) is None


def test_the_line_that_ended_the_process_is_always_shown() -> None:
    fatal = entry("fatal", "no")
    after = [entry("error", f"late {number}") for number in range(9)]
    shown = telling_lines([*NOISE, fatal, *after], count=4)
    assert shown == [fatal, *after[-3:]]
