"""Follow a canary: count what both versions do, judge it, and move the aliases.

A canary is under way while the alias `candidate` points at a version with the tag canary_share. What was
counted is in the store, so a new process goes on with it.
"""

from __future__ import annotations

import datetime as dt
import logging
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import fsspec
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from ..data.objects import write
from ..models.registry import Registry, open_registry
from ..serve.arms import Wanted, ask
from ..serve.watching import SILENT
from ..settings import Settings
from . import judge, online
from .judge import Counts, Finding, Rules
from .rates import Rate

log = logging.getLogger(__name__)
# How long these take says how fast a version is; the other pages are few, and not the same for both.
TIMED = ("recommend", "infer")
# Servers that ended so often since a canary began, or looks without any server, are no chance.
MOST_LOST = 3
TIMEOUT = 10.0
# The tag of the candidate's version that says when its canary began.
SINCE_TAG = "canary_since"


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """A canary, and what was counted since it was seen first."""

    wanted: Wanted
    since: str
    """What the tag says, which is another one for another canary of the same version."""
    began: float
    servers: dict[str, dict[str, Counts]]
    """What each server counted when it was asked last, by its address and the version."""
    counts: dict[str, Counts] = {}
    """What was added since, by version."""
    findings: dict[str, Finding] = {}
    lost: int = 0
    """How often a server began anew in its place, or none answered a look."""


class Ended(msgspec.Struct, frozen=True):
    """The last canary that was decided here."""

    version: str
    decided: str
    at: float


class State(msgspec.Struct, frozen=True):
    """What is remembered."""

    under_way: UnderWay | None = None
    last: Ended | None = None


def pages(url: str) -> dict[str, str]:
    """Return the measurements of each server, by its address. A server that does not answer is left out."""
    place = urllib.parse.urlsplit(url)
    try:
        found = socket.getaddrinfo(place.hostname, place.port, type=socket.SOCK_STREAM)
    except socket.gaierror as problem:  # the name of a Service without a ready pod
        log.warning("%s has no address: %s", place.hostname, problem)
        return {}
    result = {}
    for address in sorted({str(each[4][0]) for each in found}):
        host = f"[{address}]" if ":" in address else address
        try:
            with urllib.request.urlopen(f"http://{host}:{place.port}/metrics", timeout=TIMEOUT) as answer:
                result[address] = answer.read().decode()
        except OSError as problem:
            log.warning("the server at %s does not say what it counted: %s", address, problem)
    return result


def count(page: str) -> dict[str, Counts]:
    """Return what a server counted, by version: each answer, also of pages that lead to recommendations.

    Refusals (4xx) do not count: no version made them.
    """
    answers: dict[str, int] = {}
    errors: dict[str, int] = {}
    times: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(page):
        for name, labels, value, *_ in family.samples:
            if not (version := labels.get("version")) or labels.get("route") in SILENT:
                continue
            if name == "metalworks_model_requests_total" and labels["status"][0] in "25":
                answers[version] = answers.get(version, 0) + int(value)
                errors[version] = errors.get(version, 0) + int(value) * (labels["status"][0] == "5")
            elif name == "metalworks_model_own_seconds_bucket" and labels["route"] in TIMED:
                its, bound = times.setdefault(version, {}), labels["le"]
                its[bound] = its.get(bound, 0) + int(value)
    return {each: Counts(answers[each], errors[each], times.get(each, {})) for each in answers}


class Canary:
    """One look after the other."""

    def __init__(
        self, settings: Settings, series: Any, ask_servers: Callable[[str], Mapping[str, str]] = pages
    ) -> None:
        """Take what asks the servers; nothing is read yet."""
        self.settings, self.series, self.ask_servers = settings, series, ask_servers
        self.files, root = fsspec.core.url_to_fs(settings.data_url)
        self.path = f"{root.rstrip('/')}/watch/{settings.model}-canary.json"
        self.rules = Rules(
            errors=settings.canary_error_margin,
            time=settings.canary_slow_margin,
            hits=settings.canary_hit_margin,
            risk=settings.canary_risk,
            least=settings.canary_least,
            duration=settings.canary_duration,
        )

    def state(self) -> State:
        """Return what was remembered; nothing at the first time."""
        try:
            return msgspec.json.decode(self.files.cat_file(self.path), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return State()

    def look(self, now: float) -> str:
        """Look once, act, and return what was found as a sentence; empty where there is no canary."""
        its = self.settings
        if not its.servers_url:
            return ""
        registry = open_registry(its.registry_url, its.registry_token_file)
        before = self.state()
        after, said = self._next(before, registry, now)
        if after != before:
            write(self.files, self.path, msgspec.json.encode(after))
        self._show(after)
        return said

    def _next(self, before: State, registry: Registry, now: float) -> tuple[State, str]:
        its, canary = self.settings, before.under_way
        wanted = ask(its, registry)
        if canary and wanted.champion == canary.wanted.candidate:
            # Else the alias would begin another canary when the version is rolled back.
            registry.point(its.model, its.candidate, None)
            return State(None, before.last), f"Version {wanted.champion} was promoted by somebody else."
        if not wanted.candidate:
            version = canary.wanted.candidate if canary else ""
            ended = f"The canary of version {version} was ended by somebody else."
            return State(None, before.last), ended if canary else ""
        since = registry.tags(its.model, wanted.candidate).get(SINCE_TAG, "")
        servers = {
            address: {version: found for version, found in count(page).items() if version in _both(wanted)}
            for address, page in self.ask_servers(its.servers_url).items()
        }
        asked = (wanted.candidate, wanted.share, since)
        if canary is None or (canary.wanted.candidate, canary.wanted.share, canary.since) != asked:
            canary = UnderWay(wanted=wanted, since=since, began=now, servers=servers)
            return State(canary, before.last), (
                f"Version {wanted.candidate} answers {wanted.share:.0%} of the customers from now on."
            )
        canary = _counted(canary, servers)
        canary = msgspec.structs.replace(canary, findings=self._findings(canary, now))
        decided, why = judge.decide(self._asked(canary), now - canary.began, self.rules)
        if canary.lost >= MOST_LOST:
            decided = "taken back"
            why = f"Servers ended, or none answered, {canary.lost} times: it may be the cause."
        if wanted.champion != canary.wanted.champion:
            decided = "taken back"
            why = (
                f"It was compared with version {canary.wanted.champion}, and version {wanted.champion} is "
                "the champion since."
            )
        if not decided:
            return State(canary, before.last), f"Canary of version {wanted.candidate}: {why}"
        self._act(registry, canary, decided, why, now)
        return State(None, Ended(wanted.candidate, decided, now)), (
            f"Canary: version {wanted.candidate} is {decided}. {why}"
        )

    def _asked(self, canary: UnderWay) -> dict[str, Finding | None]:
        """Return the finding of each measure; hits are known only where the shop asks the model."""
        names = [judge.ERRORS, judge.TIME, *([judge.HITS] if self.settings.showings_url else [])]
        return {name: canary.findings.get(name) for name in names}

    def _findings(self, canary: UnderWay, now: float) -> dict[str, Finding]:
        champion, candidate = (canary.counts.get(each, Counts()) for each in _both(canary.wanted))
        measures = [*judge.rates(candidate, champion, self.rules)]
        if self.settings.showings_url:
            try:
                buyers = self._buyers(canary, now)
                measures.append((judge.HITS, "Customers who bought what they were shown", *buyers,
                                 self.rules.hits))  # fmt: skip
            except Exception as problem:  # the libraries of HTTP have exceptions of their own
                # A candidate that fails is taken back also while the shop says nothing.
                self.series.refused.inc()
                log.warning("hits are not known now: %s: %s", type(problem).__name__, problem)
        found = {
            each[0]: judge.look(*each, self.rules, now - canary.began, canary.findings.get(each[0]))
            for each in measures
        }
        return canary.findings | {name: each for name, each in found.items() if each}

    def _buyers(self, canary: UnderWay, now: float) -> tuple[Rate, Rate]:
        """Return the customers of candidate and champion who were shown something since the canary began."""
        first, last = (dt.datetime.fromtimestamp(each, dt.UTC).date() for each in (canary.began, now))
        events = online.read_events(self.settings.showings_url, first, last)
        found = online.hit_rates((each for each in events if each.at >= canary.began), by_customer=True)
        champion, candidate = (
            found.get((self.settings.model, each), Rate(0, 0)) for each in _both(canary.wanted)
        )
        return candidate, champion

    def _act(self, registry: Registry, canary: UnderWay, decided: Any, why: str, now: float) -> None:
        """Write the record first: what is in production has one in any case."""
        its, (champion, candidate) = self.settings, _both(canary.wanted)
        asked = self._asked(canary)
        remarks = [f"Too little was seen of {name}." for name, each in asked.items() if each is None]
        if judge.HITS not in asked:
            remarks.append("Hits were not judged: the shop does not ask this model.")
        decision = judge.Decision(
            decided=decided,
            why=why,
            candidate=candidate,
            champion=champion,
            share=canary.wanted.share,
            began=_moment(canary.began),
            ended=_moment(now),
            findings=[each for each in asked.values() if each],
            remarks=remarks,
            rules=self.rules,
        )
        story = f"{decision.ended}: {decided} by the canary. " + " ".join([why, *map(str, decision.findings)])
        tags = {"canary_decision": decided, "canary_why": story[:4000]}
        if decided == "promoted":
            tags |= {"champion_before": champion, "champion_why": story[:4000]}
        folder = f"canary/{decision.ended.replace(':', '')}"
        files = {
            f"{folder}/decision.md": decision.readable(),
            f"{folder}/decision.json": msgspec.json.format(msgspec.json.encode(decision)).decode(),
        }
        registry.note(its.model, candidate, tags, files)
        if decided == "promoted":
            registry.point(its.model, its.champion, candidate)
        registry.point(its.model, its.candidate, None)
        log.info("%s", decision.readable())

    def _show(self, state: State) -> None:
        series = self.series
        for each in (series.canary_share, series.canary_answers, series.canary_errors, series.canary_low,
                     series.canary_high, series.canary_margin, series.canary_due,
                     series.canary_decided):  # fmt: skip
            each.clear()
        if state.last:
            series.canary_decided.labels(state.last.version, state.last.decided).set(state.last.at)
        if not (canary := state.under_way):
            return
        series.canary_share.labels(canary.wanted.candidate).set(canary.wanted.share)
        series.canary_due.labels(canary.wanted.candidate).set(canary.began + self.rules.duration)
        for arm, version in zip(("champion", "candidate"), _both(canary.wanted), strict=True):
            found = canary.counts.get(version, Counts())
            series.canary_answers.labels(arm, version).set(found.answers)
            series.canary_errors.labels(arm, version).set(found.errors)
        for name, each in canary.findings.items():
            series.canary_low.labels(name).set(each.low)
            series.canary_high.labels(name).set(each.high)
            series.canary_margin.labels(name).set(each.margin)


def _both(wanted: Wanted) -> tuple[str, str]:
    return wanted.champion, wanted.candidate


def _counted(canary: UnderWay, servers: Mapping[str, Mapping[str, Counts]]) -> UnderWay:
    """Add what the servers counted since they were asked last."""
    counts, lost = dict(canary.counts), canary.lost + (not servers)
    for address, found in servers.items():
        # What a server counted that was not asked before may be of the time before the canary.
        if (known := canary.servers.get(address)) is None:
            continue
        if any(found.get(version, Counts()).fell(its) for version, its in known.items()):
            known, lost = {}, lost + 1
        for version, its in found.items():
            counts[version] = counts.get(version, Counts()) + its.since(known.get(version, Counts()))
    # A server that was not there just now may come back with its old counts.
    seen = canary.servers | {address: dict(found) for address, found in servers.items()}
    return msgspec.structs.replace(canary, servers=seen, counts=counts, lost=lost)


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
