"""The canary: its intervals, its looks, its decisions, and the whole way from servers to the registry."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
import pytest
from metalworks_model.data.prepare import Purchases
from metalworks_model.models.artifact import load, save
from metalworks_model.models.recommender import Recommender
from metalworks_model.models.registry import FolderRegistry, NotThere
from metalworks_model.serve.arms import Wanted
from metalworks_model.settings import Settings
from metalworks_model.shop.events import Event
from metalworks_model.watch import canary, judge
from metalworks_model.watch.judge import Counts, Finding, Rules
from metalworks_model.watch.rates import Rate, difference
from metalworks_model.watch.run import Series, Watch
from prometheus_client import generate_latest

from .conftest import Process

RULES = Rules(errors=0.01, time=0.05, hits=0.1, risk=0.05, least=100, duration=604_800.0)
MINUTE = 60.0


# Intervals


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        (Rate(56, 70), Rate(48, 80), 0.0524, 0.3339),
        (Rate(9, 10), Rate(3, 10), 0.1705, 0.8090),
        (Rate(5, 56), Rate(0, 29), -0.0381, 0.1926),
        (Rate(0, 10), Rate(0, 10), -0.2775, 0.2775),
        (Rate(10, 10), Rate(0, 20), 0.6791, 1.0),
    ],
)
def test_the_interval_of_a_difference_is_that_of_newcombes_table(
    one: Rate, other: Rate, low: float, high: float
) -> None:
    """The table II of his paper, method 10."""
    assert difference(one, other, z=1.959964) == pytest.approx((low, high), abs=6e-5)


def test_a_factor_scales_the_other_rate() -> None:
    generator = np.random.default_rng(1)
    missed = 0
    for _ in range(2000):
        one, other = (Rate(int(generator.binomial(400, p)), 400) for p in (0.27, 0.3))
        low, high = difference(one, other, 0.9, 1.96)
        missed += not low <= 0.27 - 0.9 * 0.3 <= high
    assert 0.03 < missed / 2000 < 0.07


# Looks: a canary is looked at each minute, so each simulation takes what a growing sample would show.


def looks_until(end: float) -> list[float]:
    """Return when a measure is looked at, in seconds."""
    looks = (MINUTE * judge.GROWTH**number for number in itertools.count())
    return [*itertools.takewhile(lambda each: each < end, looks), end]


def followed(
    measure: str, margin: float, rates: tuple[float, float], minutes: float, seed: int, a_minute: int = 20
) -> list[Finding]:
    """Return what looks find where a candidate has `a_minute` things, and the champion nine times that."""
    generator, findings, end = np.random.default_rng(seed), [], minutes * MINUTE
    seen, some = np.zeros(2, int), np.zeros(2, int)
    last: Finding | None = None
    for elapsed in looks_until(end):
        more = (np.array([1, 9]) * a_minute * elapsed / MINUTE).astype(int) - seen
        seen, some = seen + more, some + generator.binomial(more, rates)
        both = (Rate(int(a), int(b)) for a, b in zip(some, seen, strict=True))
        found = judge.look(measure, "", *both, margin, RULES, elapsed, last)
        if found is not None and found is not last:
            findings.append(found)
        last = found
    return findings


def share_of(verdict: str, runs: list[list[Finding]]) -> float:
    """Return how often the first known verdict is this one."""
    known = (next((each.verdict for each in run if each.verdict != "open"), "open") for run in runs)
    return sum(each == verdict for each in known) / len(runs)


@pytest.mark.parametrize(
    ("measure", "margin", "rates"),
    [
        (judge.ERRORS, 0.01, (0.02, 0.01)),
        (judge.ERRORS, 0.01, (0.01, 0.0)),
        (judge.TIME, 0.05, (0.1, 0.05)),
        (judge.HITS, 0.1, (0.27, 0.3)),
        (judge.HITS, 0.1, (0.045, 0.05)),
    ],
)
def test_a_candidate_at_its_margin_is_found_good_or_bad_with_the_risk_at_most(
    measure: str, margin: float, rates: tuple[float, float]
) -> None:
    runs = [followed(measure, margin, rates, 10_080, seed) for seed in range(600)]
    assert max(len(run) for run in runs) > 15
    # Two standard errors above the risk are what chance may add to 600 runs.
    assert share_of("within", runs) < 0.05 + 0.018
    assert share_of("beyond", runs) < 0.05 + 0.018
    # Looking at a fixed level each time would be wrong far more often: this is what the levels are for.
    naive = [[each for each in run if each.candidate.of] for run in runs]
    z = 1.645

    def wrong(each: Finding) -> bool:
        factor = 1 - margin if measure == judge.HITS else 1.0
        low, high = difference(each.candidate, each.champion, factor, z)
        return low > 0 if measure == judge.HITS else high < margin

    assert sum(any(map(wrong, run)) for run in naive) / len(runs) > 0.1


@pytest.mark.parametrize(
    ("measure", "margin", "rates", "minutes", "verdict"),
    [
        # 10 000 answers of an equal candidate, most of which came in the last looks.
        (judge.ERRORS, 0.01, (0.001, 0.001), 100, "within"),
        (judge.TIME, 0.05, (0.05, 0.05), 60, "within"),
        (judge.HITS, 0.1, (0.3, 0.3), 1500, "within"),
        (judge.ERRORS, 0.01, (0.05, 0.001), 60, "beyond"),
        (judge.ERRORS, 0.01, (0.5, 0.0), 8, "beyond"),
        (judge.TIME, 0.05, (1.0, 0.05), 8, "beyond"),
        (judge.HITS, 0.1, (0.0, 0.3), 18, "beyond"),
        (judge.HITS, 0.1, (0.2, 0.3), 150, "beyond"),
    ],
)
def test_equal_candidates_are_found_good_and_bad_ones_bad(
    measure: str, margin: float, rates: tuple[float, float], minutes: float, verdict: str
) -> None:
    runs = [followed(measure, margin, rates, minutes, seed) for seed in range(200)]
    assert share_of(verdict, runs) > 0.95
    assert share_of({"within": "beyond", "beyond": "within"}[verdict], runs) < 0.01


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_an_equal_candidate_in_a_small_shop_is_promoted_or_undecided_but_not_taken_back(share: float) -> None:
    """The defaults; 4000 customers come in a week, with a hit rate of 0.3."""
    runs = [visited(4000, share, 1.0, seed) for seed in range(400)]
    assert runs.count("taken back") < 0.01 * len(runs)
    assert runs.count("promoted") > (0.15 if share == 0.1 else 0.45) * len(runs)
    # One at the margin, which must not be promoted.
    assert [visited(4000, share, 0.9, seed) for seed in range(400)].count("promoted") < 0.05 * 400 + 8


def visited(customers: int, share: float, ratio: float, seed: int, hit: float = 0.3) -> str:
    """Return what a week of looks at hits decides where a candidate has `ratio` of the champion's rate."""
    generator, decided = np.random.default_rng(seed), ""
    shown, some = np.zeros(2, int), np.zeros(2, int)
    last: Finding | None = None
    for elapsed in looks_until(RULES.duration):
        wanted = (np.array([share, 1 - share]) * customers * elapsed / RULES.duration).astype(int)
        shown, some = wanted, some + generator.binomial(wanted - shown, (hit * ratio, hit))
        both = (Rate(int(a), int(b)) for a, b in zip(some, shown, strict=True))
        last = judge.look(judge.HITS, "", *both, RULES.hits, RULES, elapsed, last)
        decided, _ = judge.decide({judge.HITS: last}, elapsed, RULES)
        if decided:
            break
    return decided or "undecided"


def test_too_few_say_nothing_and_looks_become_rarer_and_stricter() -> None:
    def look(of: int, elapsed: float, before: Finding | None) -> Finding | None:
        return judge.look("errors", "", Rate(0, of), Rate(0, 900), 0.01, RULES, elapsed, before)

    assert look(99, 60, None) is None
    first = look(100, 60, None)
    assert first and (first.look, first.verdict) == (1, "open")
    assert look(150, 89, first) is first
    second = look(150, 90, first)
    assert second and second.look == 2
    # A stricter level has a wider interval of the same counts.
    again = look(100, 90, first)
    assert again and again.high > first.high
    # The end is looked at in any case.
    late = msgspec.structs.replace(second, elapsed=RULES.duration - 1)
    last = look(150, RULES.duration, late)
    assert last and last.look == 3
    # It is less strict than an earlier one, there is one of its kind, and looks go on as before.
    assert last.high < again.high
    assert look(150, 1.4 * RULES.duration, last) is last
    after = look(150, 1.5 * RULES.duration, last)
    assert after and (after.look, after.high > last.high) == (4, True)


def test_a_look_has_its_part_of_the_risk() -> None:
    finding = None
    for elapsed in (MINUTE, RULES.duration):
        finding = judge.look(judge.ERRORS, "", Rate(0, 5000), Rate(0, 5000), 0.01, RULES, elapsed, finding)
        assert finding
        both = [difference(Rate(0, 5000), Rate(0, 5000), z=NormalDist().inv_cdf(1 - RULES.risk / 2 / parts))
                for parts in ((2, 2) if elapsed == MINUTE else (6, 1))]  # fmt: skip
        assert (finding.low, finding.high) == pytest.approx((both[0][0], both[1][1]))


# Decisions


def finding(measure: str, low: float, high: float, margin: float = 0.05) -> Finding:
    return Finding(
        measure=measure, candidate=Rate(1, 100), champion=Rate(1, 100), low=low, high=high, margin=margin,
        look=1, elapsed=60, what="Things",
    )  # fmt: skip


GOOD, BAD, OPEN = (-0.1, 0.04), (0.06, 0.2), (-0.1, 0.2)


@pytest.mark.parametrize(
    ("errors", "time", "hits", "elapsed", "decided", "why"),
    [
        (GOOD, GOOD, GOOD, 60, "promoted", "errors, time, hits"),
        (GOOD, GOOD, OPEN, 60, "", "Too little is known of hits."),
        (GOOD, GOOD, None, 60, "", "Too little is known of hits."),
        (None, None, None, 60, "", "Too little is known of errors, time, hits."),
        (BAD, GOOD, None, 60, "taken back", "It is worse than the champion: errors."),
        (GOOD, BAD, BAD, 60, "taken back", "It is worse than the champion: time, hits."),
        (GOOD, GOOD, BAD, 604_800, "taken back", "It is worse than the champion: hits."),
        (GOOD, GOOD, OPEN, 604_800, "", "After 604800 s too little is known of hits. It goes on."),
        (None, None, None, 604_800, "", "After 604800 s too little is known of errors, time, hits."),
        (GOOD, GOOD, GOOD, 604_800, "promoted", "errors, time, hits"),
    ],
)
def test_what_is_decided(errors: Any, time: Any, hits: Any, elapsed: float, decided: str, why: str) -> None:
    given = {"errors": errors, "time": time, "hits": hits}
    found = judge.decide(
        {name: finding(name, *each) if each else None for name, each in given.items()}, elapsed, RULES
    )
    assert (found[0], why in found[1]) == (decided, True)


# Counting


PAGE = """
# TYPE metalworks_model_requests counter
metalworks_model_requests_total{model="m",version="1",route="recommend",status="200"} 90
metalworks_model_requests_total{model="m",version="1",route="infer",status="500"} 2
metalworks_model_requests_total{model="m",version="1",route="infer",status="400"} 7
metalworks_model_requests_total{model="m",version="1",route="refused",status="429"} 5
metalworks_model_requests_total{model="m",version="1",route="catalogue",status="200"} 40
metalworks_model_requests_total{model="m",version="2",route="recommend",status="200"} 10
# TYPE metalworks_model_own_seconds histogram
metalworks_model_own_seconds_bucket{model="m",version="1",route="recommend",le="0.001"} 85
metalworks_model_own_seconds_bucket{model="m",version="1",route="recommend",le="0.002"} 90
metalworks_model_own_seconds_bucket{model="m",version="1",route="recommend",le="+Inf"} 90
metalworks_model_own_seconds_bucket{model="m",version="1",route="infer",le="0.001"} 0
metalworks_model_own_seconds_bucket{model="m",version="1",route="infer",le="0.002"} 1
metalworks_model_own_seconds_bucket{model="m",version="1",route="infer",le="+Inf"} 2
"""


def test_answers_errors_and_times_are_counted_by_version() -> None:
    found = canary.count(PAGE)
    # The catalogue's pages count as answers, and not in the times.
    assert found == {"1": Counts(132, 2, {"0.001": 85, "0.002": 91, "+Inf": 92}), "2": Counts(10, 0)}
    assert judge.bound_of_usual(found["1"].times) == "0.002"
    errors, time = judge.rates(found["2"] + Counts(0, 0, {"0.002": 3, "+Inf": 10}), found["1"], RULES)
    assert (errors[2], errors[3]) == (Rate(0, 10), Rate(2, 132))
    assert (time[1], time[2], time[3]) == ("Answers slower than 0.002 s", Rate(7, 10), Rate(1, 92))


def test_an_error_of_any_page_counts_and_the_server_s_own_pages_do_not() -> None:
    """The shop asks for the history first, and for nothing more where that fails."""
    page = """
# TYPE metalworks_model_requests counter
metalworks_model_requests_total{model="m",version="2",route="catalogue",status="500"} 85
metalworks_model_requests_total{model="m",version="2",route="other",status="500"} 5
metalworks_model_requests_total{model="m",version="2",route="health",status="503"} 50
metalworks_model_requests_total{model="",version="",route="metrics",status="200"} 9
"""
    assert canary.count(page) == {"2": Counts(90, 90)}


def test_a_server_that_began_anew_counts_from_nothing() -> None:
    before = Counts(10, 2, {"0.1": 9, "+Inf": 10})
    assert Counts(15, 3, {"0.1": 13, "+Inf": 15}).since(before) == Counts(5, 1, {"0.1": 4, "+Inf": 5})
    assert not Counts(15, 3, {"0.1": 13, "+Inf": 15}).fell(before)
    assert Counts(4, 0, {"0.1": 4, "+Inf": 4}).fell(before)
    assert Counts(40, 0, {"0.1": 40, "+Inf": 40}).fell(before), "more answers, and fewer errors"
    assert Counts(40, 4, {"0.1": 5, "+Inf": 40}).fell(before)
    assert Counts(0, 0, {}).fell(before)


def look_at(*each: dict[str, dict[str, Counts]]) -> canary.UnderWay:
    """Return a canary after looks at these servers, by address and version."""
    found = canary.UnderWay(wanted=Wanted("1", "2", 0.5), since="", began=0.0, servers=each[0])
    for servers in each[1:]:
        found = canary._counted(found, servers)
    return found


def test_a_new_process_counts_whole_and_a_new_address_from_its_first_page() -> None:
    old = {"1": Counts(20, 5), "2": Counts(7)}
    anew = {"1": Counts(40, 0), "2": Counts(3, 1)}
    found = look_at({"a": old}, {"a": anew, "b": {"1": Counts(2_100_000, 100_000)}})
    assert (found.counts, found.lost) == ({"1": Counts(40, 0), "2": Counts(3, 1)}, 1)
    found = canary._counted(found, {"a": anew, "b": {"1": Counts(2_100_010, 100_001), "2": Counts(4)}})
    assert (found.counts, found.lost) == ({"1": Counts(50, 1), "2": Counts(7, 1)}, 1)


def test_servers_that_end_are_counted_and_those_that_are_gone_are_not() -> None:
    some = {"1": Counts(20), "2": Counts(7)}
    assert look_at({"a": some}, {"a": {"1": Counts(30)}}).lost == 1, "a new process without the candidate"
    assert look_at({"a": some, "b": some}, {"b": some}).lost == 0, "fewer replicas"
    assert look_at({"a": some}, {}, {}, {"a": some}).lost == 2, "no server at all"


# The whole way, with a real server


@dataclass
class Scene:
    """A server, its registry, customers, and the watch, whose clock is set by hand."""

    server: Process
    registry: FolderRegistry
    customers: list[str]
    likes: dict[str, set[str]]
    """What a customer would buy: the item that the sound model shows on top."""
    folder: Path
    settings: dict[str, Any]
    now: float = 1_000_000.0
    events: list[Event] = field(default_factory=list)
    failed: int = 0

    def watch(self) -> Watch:
        """Return a new process of the watch."""
        url = f"http://127.0.0.1:{self.server.port}"
        settings = Settings.read(
            {}, data_url=f"file://{self.folder}/data", registry_url=f"file://{self.registry.root}",
            servers_url=url, canary_least=30, canary_error_margin=0.1, canary_slow_margin=0.4,
            canary_hit_margin=0.5, canary_duration=36_000, **self.settings,
        )  # fmt: skip
        return Watch(settings, Series())

    def look(self, seconds: float = 60) -> str:
        """Let the watch look later on, each time in a new process."""
        self.now += seconds
        return self.watch().canary.look(self.now)

    def begin(self, artifact: Path, share: str = "0.5") -> str:
        """Begin a canary as the playbook does, and wait until the server has it."""
        tags = {"canary_share": share, "canary_since": "now"}
        version = self.registry.publish("recommender", artifact, tags, {})
        self.registry.point("recommender", "candidate", version)
        self.server.until(
            lambda: self.server.ask("GET", f"/v2/models/recommender/versions/{version}/ready").status == 200
        )
        assert f"Version {version} answers 50%" in self.look()
        return version

    def visit(self) -> None:
        """Let every customer be shown something, and buy what he likes of it."""
        for each in self.customers:
            answer = self.server.ask("GET", f"/recommend?user={each}&count=5")
            if answer.status != 200:
                self.failed += 1
                continue
            items = [item["item"] for item in answer.json["items"]]
            named = {"model": "recommender", "version": answer.json["model_version"]}
            self.note(Event(kind="shown", at=self.now, customer=each, items=items, request="r", **named))
            if bought := self.likes[each].intersection(items):
                self.note(Event(kind="bought", at=self.now + 1, customer=each, items=sorted(bought)))

    def note(self, event: Event) -> None:
        """Keep an event where the watch finds it."""
        self.events.append(event)
        path = self.folder / f"{event.moment.date()}.jsonl"
        with path.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")

    def until_decided(self, rounds: int = 12) -> str:
        """Let customers come and the watch look, until it decides."""
        for _ in range(rounds):
            self.visit()
            if "is promoted" in (said := self.look(600)) or "is taken back" in said:
                return said
        pytest.fail(f"nothing is decided: {said}")

    def alias(self, name: str) -> str:
        """Return where an alias points; empty if nowhere."""
        try:
            return self.registry.version_of("recommender", name)
        except NotThere:
            return ""

    def record(self, version: str) -> tuple[dict[str, Any], str]:
        """Return the record of a decision, as data and as a page."""
        (path,) = (self.registry.root / "recommender" / "notes" / version).rglob("decision.json")
        return json.loads(path.read_bytes()), path.with_name("decision.md").read_text()


@pytest.fixture
def scene(
    serve: Callable[..., Process], registry: FolderRegistry, artifact: Path, bought: Purchases, tmp_path: Path
) -> Iterator[Scene]:
    sound = Recommender(*load(artifact))
    customers = [str(each) for each in bought.users]
    likes = {
        each: {found.item for found in sound.recommend(sound.history(each), 1, user=each)}
        for each in customers
    }
    shown = {"showings_url": f"{tmp_path}/{{day}}.jsonl"}
    yield Scene(serve(registry), registry, customers, likes, tmp_path, shown)


def changed(artifact: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Return a version with other arrays, whose files are what its card says."""
    card, arrays = load(artifact)
    change(arrays)
    save(folder, card, arrays)
    return folder


def test_a_good_candidate_is_promoted_by_itself(scene: Scene, artifact: Path) -> None:
    version = scene.begin(artifact)
    said = scene.until_decided()
    assert f"version {version} is promoted" in said
    assert (scene.alias("champion"), scene.alias("candidate")) == (version, "")
    tags = scene.registry.tags("recommender", version)
    assert (tags["champion_before"], tags["canary_decision"]) == ("1", "promoted")
    assert "promoted by the canary" in tags["champion_why"]
    data, page = scene.record(version)
    assert {each["measure"] for each in data["findings"]} == {"errors", "time", "hits"}
    assert f"# Canary: version {version} promoted" in page
    assert "| hits |" in page
    assert scene.failed == 0
    # The series outlive the process, and there is nothing more to do.
    watch = scene.watch()
    assert watch.canary.look(scene.now + 60) == ""
    text = generate_latest(watch.series.registry).decode()
    decided = f'metalworks_model_canary_decided_timestamp_seconds{{decision="promoted",version="{version}"}}'
    assert decided in text


def test_a_candidate_that_fails_is_taken_back_at_the_first_look(
    scene: Scene, artifact: Path, tmp_path: Path
) -> None:
    def narrow(arrays: dict[str, Any]) -> None:
        arrays["weights"] = arrays["weights"][:, :1]

    version = scene.begin(changed(artifact, tmp_path / "narrow", narrow))
    scene.visit()
    assert 0.2 * len(scene.customers) < scene.failed < 0.8 * len(scene.customers)
    said = scene.look()
    assert f"version {version} is taken back. It is worse than the champion: errors" in said
    assert (scene.alias("champion"), scene.alias("candidate")) == ("1", "")
    data, page = scene.record(version)
    assert data["findings"][0]["candidate"]["some"] == scene.failed, (
        "each error is its own, not the champion's"
    )
    assert data["findings"][0]["champion"]["some"] == 0
    assert "surely beyond the margin" in page
    assert "champion_before" not in scene.registry.tags("recommender", version)


def test_a_candidate_that_recommends_rubbish_is_taken_back(
    scene: Scene, artifact: Path, tmp_path: Path
) -> None:
    def shuffle(arrays: dict[str, Any]) -> None:
        order = list(range(len(arrays["items"])))
        random.Random(0).shuffle(order)
        arrays["items"] = arrays["items"][order]

    version = scene.begin(changed(artifact, tmp_path / "rubbish", shuffle))
    assert f"version {version} is taken back. It is worse than the champion: hits." in scene.until_decided()
    assert (scene.alias("champion"), scene.alias("candidate")) == ("1", "")
    assert scene.failed == 0


def test_a_candidate_that_fails_is_taken_back_while_the_shop_is_down(
    scene: Scene, artifact: Path, tmp_path: Path
) -> None:
    def narrow(arrays: dict[str, Any]) -> None:
        arrays["weights"] = arrays["weights"][:, :1]

    scene.settings |= {"showings_url": "http://127.0.0.1:1/{day}.jsonl"}
    version = scene.begin(changed(artifact, tmp_path / "narrow", narrow))
    for each in scene.customers:
        scene.server.ask("GET", f"/recommend?user={each}&count=5")
    watch = scene.watch()
    assert f"version {version} is taken back" in watch.canary.look(scene.now + 60)
    assert watch.series.registry.get_sample_value("metalworks_model_watch_failures") == 1


def test_a_candidate_under_which_servers_end_is_taken_back(scene: Scene, artifact: Path) -> None:
    version = scene.begin(artifact)
    scene.server.stop()
    said = [scene.look() for _ in range(canary.MOST_LOST)]
    assert f"version {version} is taken back. Servers ended, or none answered, 3 times" in said[-1]
    assert not any("taken back" in each for each in said[:-1])
    assert scene.alias("candidate") == ""


def test_a_candidate_of_which_too_little_is_seen_goes_on_and_is_reported(
    scene: Scene, artifact: Path
) -> None:
    version, began = scene.begin(artifact), scene.now
    assert "Too little is known of errors, time, hits" in scene.look(35_000)
    assert "too little is known of errors, time, hits. It goes on." in scene.look(1_000)
    assert scene.alias("candidate") == version
    watch = scene.watch()
    watch.canary.look(scene.now)
    due = watch.series.registry.get_sample_value(
        "metalworks_model_canary_due_timestamp_seconds", {"version": version}
    )
    assert due == began + 36_000


def test_without_a_shop_errors_and_time_decide(scene: Scene, artifact: Path) -> None:
    scene.settings = {}
    version = scene.begin(artifact)
    scene.visit()
    assert f"version {version} is promoted" in scene.until_decided()
    assert "Hits were not judged" in scene.record(version)[1]


def test_what_others_decide_ends_a_canary(scene: Scene, artifact: Path) -> None:
    first = scene.begin(artifact)
    scene.registry.point("recommender", "candidate", None)
    assert scene.look() == f"The canary of version {first} was ended by somebody else."
    # Promoted by hand: its alias must not begin another canary after a rollback.
    second = scene.begin(artifact)
    scene.registry.point("recommender", "champion", second)
    assert scene.look() == f"Version {second} was promoted by somebody else."
    assert (scene.alias("champion"), scene.alias("candidate")) == (second, "")
    # A training promoted another version meanwhile.
    third = scene.begin(artifact)
    scene.registry.point("recommender", "champion", "1")
    assert "version 1 is the champion since" in scene.look()
    assert (scene.alias("champion"), scene.alias("candidate")) == ("1", "")
    assert scene.registry.tags("recommender", third)["canary_decision"] == "taken back"


def test_a_pinned_version_has_no_canary(scene: Scene, artifact: Path) -> None:
    scene.begin(artifact)
    scene.settings |= {"model_version": "1"}
    assert "was ended by somebody else" in scene.look()
    assert scene.look() == ""


def test_a_server_that_does_not_answer_is_left_out(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{scene.server.port}"
    assert list(canary.pages(url)) == ["127.0.0.1"]
    scene.server.stop()
    assert canary.pages(url) == {}
    assert "does not say what it counted" in caplog.text
    assert canary.pages("http://no-such-service.invalid:8080") == {}
    assert "has no address" in caplog.text
