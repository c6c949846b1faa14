"""Decide whether a candidate that answers a share of the customers becomes the champion, or is taken back.

Three measures are judged, each by the interval of a difference (rates.py) and a margin:

- errors: the share of answers with a status of 500 or more, candidate less champion;
- time: the share of answers that take longer than 95 % of the champion's, candidate less champion;
- hits: the share of customers who bought something that they were shown: the champion's, less its margin,
  less the candidate's. A customer keeps the version, so customers count here and not answers, which depend
  on one another.

The interval lies within the margin, or beyond it, or nothing is known yet. All within: promoted. One beyond:
taken back at once. Else the canary goes on: that too little is known says nothing against a candidate. After
its duration somebody is told, who may end it, promote it, or wait.

Looking again and again finds something at some time by chance alone. So the risk is spent on the looks, as
Haybittle (British Journal of Radiology 44 (1971) 793-797) and Peto et al. (British Journal of Cancer 34
(1976) 585-612) have it: looks before the planned end are strict, and the one at the end has almost the level
of a single look. A look with the number k may be wrong with the probability risk / 2 / (k (k + 1)), of which
the sum over all k, without end, is half of the risk. The other half is for the look at the end of the
duration, and for "within" only: to be beyond a margin is looked for all the time, and has no planned end. The
risks of all looks add up to the risk at most, whatever they have to do with one another (Bonferroni's
inequality). Looks become rarer, each after half as much time again, so that k stays small: 23 in a week of
looks that begin after a minute. A candidate that is beyond a margin is promoted with at most this risk. One
that is within all margins is taken back as beyond one with at most half of it for each measure, and one that
equals the champion much more rarely. docs/how-to/canary.md has what simulations make of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import NormalDist
from typing import Literal

import msgspec

from .rates import Rate, difference

GROWTH = 1.5
# Of the champion's answers so many are not slow.
USUAL = 0.95
ERRORS, TIME, HITS = "errors", "time", "hits"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a candidate: margins, risk, smallest sample, planned duration in seconds."""

    errors: float
    time: float
    hits: float
    risk: float
    least: int
    duration: float


class Counts(msgspec.Struct, frozen=True):
    """What a version answered."""

    answers: int = 0
    errors: int = 0
    times: dict[str, int] = {}
    """How many answers took at most so many seconds, by the bounds (as text) of the servers' histogram."""

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return self._with(other, 1)

    def since(self, before: Counts) -> Counts:
        """Return what was added."""
        return self._with(before, -1)

    def fell(self, before: Counts) -> bool:
        """Return whether any count is smaller than before: it is that of a new process."""
        added = self.since(before)
        return min(added.answers, added.errors, *added.times.values()) < 0

    def _with(self, other: Counts, sign: int) -> Counts:
        bounds = sorted(self.times.keys() | other.times.keys(), key=float)
        times = {each: self.times.get(each, 0) + sign * other.times.get(each, 0) for each in bounds}
        return Counts(self.answers + sign * other.answers, self.errors + sign * other.errors, times)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a measure found. From `low` to `high` is by how much the candidate is worse."""

    measure: str
    candidate: Rate
    champion: Rate
    low: float
    high: float
    margin: float
    look: int
    elapsed: float
    """When it was, in seconds since the canary began."""
    what: str
    """What is counted, as words."""

    @property
    def verdict(self) -> Literal["within", "beyond", "open"]:
        """Where the interval lies."""
        return "within" if self.high < self.margin else "beyond" if self.low > self.margin else "open"

    def __str__(self) -> str:
        """Return it as a sentence."""
        said = {
            "within": "surely within the margin",
            "beyond": "surely beyond the margin",
            "open": "not known to be within the margin",
        }
        return (
            f"{self.what}: candidate {self.candidate}, champion {self.champion}. The candidate is "
            f"{said[self.verdict]} of {self.margin:.3g} (worse by {self.low:.3g} to {self.high:.3g}, "
            f"look {self.look})."
        )


def bound_of_usual(times: Mapping[str, int]) -> str:
    """Return the smallest bound within which the usual share of answers is; +Inf where there are none."""
    total = max(times.values(), default=0)
    return min((each for each in times if total and times[each] >= USUAL * total), key=float, default="+Inf")


def rates(candidate: Counts, champion: Counts, rules: Rules) -> Iterable[tuple[str, str, Rate, Rate, float]]:
    """Return measure, words, both rates and margin of what servers count."""
    yield (
        ERRORS,
        "Answers with an error",
        Rate(candidate.errors, candidate.answers),
        Rate(champion.errors, champion.answers),
        rules.errors,
    )
    bound = bound_of_usual(champion.times)

    def slow(counts: Counts) -> Rate:
        total = max(counts.times.values(), default=0)
        return Rate(total - counts.times.get(bound, total), total)

    yield TIME, f"Answers slower than {bound} s", slow(candidate), slow(champion), rules.time


def look(
    measure: str, what: str, candidate: Rate, champion: Rate, margin: float, rules: Rules, elapsed: float,
    before: Finding | None = None,
) -> Finding | None:  # fmt: skip
    """Look at a measure, if it is time to and if there is enough; else return what was found before."""
    if min(candidate.of, champion.of) < rules.least:
        return before
    planned = not before or before.elapsed < rules.duration
    if before and elapsed < min(GROWTH * before.elapsed, rules.duration if planned else math.inf):
        return before
    number = before.look + 1 if before else 1
    at_the_end = planned and elapsed >= rules.duration
    strict = rules.risk / 2 / (number * (number + 1))

    def interval(risk: float) -> tuple[float, float]:
        z = NormalDist().inv_cdf(1 - risk)
        if measure != HITS:
            return difference(candidate, champion, z=z)
        # A hit is good, so the difference is turned round; the margin is part of the champion.
        low, high = difference(candidate, champion, 1 - margin, z)
        return -high, -low

    low, high = interval(strict)[0], interval(rules.risk / 2 if at_the_end else strict)[1]
    margin = 0.0 if measure == HITS else margin
    return Finding(
        measure=measure, candidate=candidate, champion=champion, low=low, high=high, margin=margin,
        look=number, elapsed=elapsed, what=what,
    )  # fmt: skip


def decide(
    findings: Mapping[str, Finding | None], elapsed: float, rules: Rules
) -> tuple[Literal["", "promoted", "taken back"], str]:
    """Return what is decided, empty for nothing yet, and why."""
    known = [each for each in findings.values() if each]
    if beyond := [each for each in known if each.verdict == "beyond"]:
        return "taken back", f"It is worse than the champion: {', '.join(each.measure for each in beyond)}."
    open_ones = [name for name, each in findings.items() if each is None or each.verdict == "open"]
    if not open_ones:
        return "promoted", f"It is not worse than the champion beyond a margin: {', '.join(findings)}."
    if elapsed >= rules.duration:
        return "", f"After {elapsed:.0f} s too little is known of {', '.join(open_ones)}. It goes on."
    return "", f"Too little is known of {', '.join(open_ones)}."


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One readable record of why a candidate was promoted or taken back. Times are in UTC."""

    decided: Literal["promoted", "taken back"]
    why: str
    candidate: str
    champion: str
    share: float
    began: str
    ended: str
    findings: list[Finding]
    remarks: list[str]
    rules: Rules

    def readable(self) -> str:
        """Return it as a page of text."""
        lines = [
            f"# Canary: version {self.candidate} {self.decided}",
            "",
            self.why,
            "",
            *(f"- {each}" for each in [*self.findings, *self.remarks]),
            "",
            f"Version {self.candidate} answered {self.share:.0%} of the customers from {self.began} to "
            f"{self.ended}, and version {self.champion}, the champion, the others.",
            f"Risk {self.rules.risk:g}, smallest sample {self.rules.least}, planned duration "
            f"{self.rules.duration:g} s.",
            "",
            "| measure | candidate | champion | worse by | margin | look | verdict |",
            "|---|---|---|---|---|---|---|",
        ]
        for each in self.findings:
            worse = f"{each.low:.4f} to {each.high:.4f}"
            cells = [each.measure, each.candidate, each.champion, worse, f"{each.margin:g}", each.look]
            lines.append(f"| {' | '.join(map(str, [*cells, each.verdict]))} |")
        return "\n".join([*lines, ""])
