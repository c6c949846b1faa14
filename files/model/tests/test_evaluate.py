"""Metrics, the gate, and a whole training run with its record."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from metalworks_model.data import prepare
from metalworks_model.data.ingest import DayStore
from metalworks_model.data.prepare import Purchases
from metalworks_model.evaluate import gate, metrics
from metalworks_model.evaluate.gate import Decision
from metalworks_model.evaluate.metrics import Judgement, Task
from metalworks_model.models.artifact import Card, code_digest
from metalworks_model.models.registry import FolderRegistry, NotThere, RegistryProblem
from metalworks_model.settings import Settings
from metalworks_model.train import ease, run, run_anomalies
from scipy import sparse

from .conftest import DAYS, PARAMETERS, WORLD, batch, generate


def asked(relevant: list[list[int]], masked: list[list[int]]) -> metrics.Question:
    return metrics.Question(
        np.arange(len(relevant), dtype=np.int32),
        sparse.csr_array(np.array(masked)),
        sparse.csr_array(np.array(relevant)),
    )


def test_metrics_are_those_of_the_books() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4]], np.float32)
    question = asked([[0, 1, 0, 1], [1, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 1]])
    found = metrics.judge(lambda users: scores[users], question, size=3)
    assert found.ndcg[0] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert found.ndcg[1] == pytest.approx((1 / math.log2(4)) / 1)  # rank 3: the best item is masked
    assert found.recall.tolist() == [0.5, 1.0]
    assert found.hit.tolist() == [1.0, 1.0]
    assert found.coverage == 0.75


def test_a_perfect_ranking_has_ndcg_1_and_a_wrong_one_0() -> None:
    question = asked([[1, 1, 0, 0]], [[0, 0, 0, 0]])
    perfect, wrong = np.array([[2.0, 1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 2.0, 1.0]])
    assert metrics.judge(lambda _: perfect, question, size=2).ndcg.tolist() == [1.0]
    assert metrics.judge(lambda _: wrong, question, size=2).ndcg.tolist() == [0.0]


def test_equal_scores_are_ordered_by_item() -> None:
    assert metrics.top(np.zeros((1, 50), np.float32), 5).tolist() != []
    assert metrics.top(np.array([[1.0, 2.0, 2.0, 0.0]], np.float32), 3).tolist() == [[1, 2, 0]]


def test_only_known_customers_are_asked_and_only_for_known_items(bought: Purchases) -> None:
    first = WORLD.first + dt.timedelta(DAYS - 20)
    parts = prepare.split(bought, first, first + dt.timedelta(20))
    for task in Task:
        question = metrics.question(parts, task)
        assert set(question.customers.tolist()) <= set(parts.train.user.tolist())
        assert set(question.relevant.indices.tolist()) <= set(parts.train.item.tolist())
        assert (np.diff(question.relevant.indptr) > 0).all()
    new = metrics.question(parts, Task.NEW)
    assert new.relevant.multiply(new.masked).nnz == 0


def test_the_interval_holds_the_mean_and_shrinks_with_more_customers() -> None:
    random = np.random.default_rng(1)
    few, many = (metrics.bootstrap(random.random(size)) for size in (30, 3000))
    for each in (few, many):
        assert each.low < each.mean < each.high
    assert many.high - many.low < (few.high - few.low) / 5


# The gate


@pytest.fixture(scope="module")
def first_decision(bought: Purchases) -> Decision:
    """A decision without a champion."""
    return gate.decide(bought, PARAMETERS, 20, "code")


def test_a_first_model_has_to_beat_the_baselines_only(first_decision: Decision) -> None:
    rivals = {(each.task, each.other) for each in first_decision.comparisons}
    assert rivals == {("new", "popularity"), ("again", "popularity"), ("again", "own frequency")}
    assert first_decision.promoted == all(each.passed for each in first_decision.comparisons)
    assert first_decision.champion == ""


def test_a_decision_is_a_readable_record(first_decision: Decision, bought: Purchases) -> None:
    page = gate.readable(first_decision)
    assert page.startswith("# Promoted" if first_decision.promoted else "# Not promoted")
    for words in (
        bought.digest(),
        "NDCG@20 differs by",
        "own frequency",
        first_decision.judged_from,
        "code code",
    ):
        assert words in page
    assert msgspec.json.decode(msgspec.json.encode(first_decision), type=Decision) == first_decision


def test_a_model_that_knows_nothing_is_not_promoted(bought: Purchases) -> None:
    # With such a regularisation all weights are 0, so what is new is ordered by popularity.
    found = gate.decide(bought, ease.Parameters(regularisation=1e15, frequency_share=0.0), 20, "code")
    assert not found.promoted
    assert any("fails against own frequency" in each for each in found.reasons)


def card(parameters: ease.Parameters, until: dt.date, data: str = "older") -> tuple[str, Card]:
    """Return a champion."""
    made_of = msgspec.to_builtins(parameters)
    return "3", Card(kind="recommender", parameters=made_of, data=data, data_until=str(until), code="code")


def test_the_same_recipe_on_the_same_data_is_not_promoted(bought: Purchases) -> None:
    last = prepare.EPOCH + dt.timedelta(bought.last_day)
    found = gate.decide(bought, PARAMETERS, 20, "code", card(PARAMETERS, last, bought.digest()))
    assert not found.promoted
    assert found.reasons[0].startswith("Nothing is new")


@pytest.mark.parametrize(("data", "code"), [("of before the late day", "code"), (None, "code with a fix")])
def test_other_data_or_code_of_the_same_days_is_new(bought: Purchases, data: str | None, code: str) -> None:
    last = prepare.EPOCH + dt.timedelta(bought.last_day)
    champion = card(PARAMETERS, last, data or bought.digest())
    found = gate.decide(bought, PARAMETERS, 20, code, champion)
    assert not any("Nothing is new" in each for each in found.reasons)
    assert all(each.passed for each in found.comparisons if each.other == "champion")


def test_a_worse_recipe_is_not_promoted_because_the_champion_is_old(bought: Purchases) -> None:
    last = prepare.EPOCH + dt.timedelta(bought.last_day)
    worse = ease.Parameters(neighbours=40, regularisation=1e15, frequency_share=0.0)
    found = gate.decide(bought, worse, 20, "code", card(PARAMETERS, last - dt.timedelta(30)))
    against = {each.task: each for each in found.comparisons if each.other == gate.RECIPE}
    assert not all(each.passed for each in against.values())
    same = gate.decide(bought, PARAMETERS, 20, "code", card(PARAMETERS, last - dt.timedelta(30)))
    assert not any(each.other == gate.RECIPE for each in same.comparisons)


def test_a_champion_with_worse_parameters_is_beaten(bought: Purchases) -> None:
    last = prepare.EPOCH + dt.timedelta(bought.last_day)
    worse = ease.Parameters(regularisation=1e15, frequency_share=0.0)
    found = gate.decide(bought, PARAMETERS, 20, "code", card(worse, last))
    against = {each.task: each for each in found.comparisons if each.other == "champion"}
    assert against["new"].passed
    assert against["new"].difference.mean > 0


def test_a_champion_is_judged_with_the_data_that_it_had(bought: Purchases) -> None:
    last = prepare.EPOCH + dt.timedelta(bought.last_day)
    found = gate.decide(bought, PARAMETERS, 20, "code", card(PARAMETERS, last - dt.timedelta(30)))
    assert found.champion_age_days == 30
    assert "champion" in found.figures["new"]
    # It had 30 days less, so it cannot give the same answers.
    assert found.figures["new"]["champion"] != found.figures["new"]["candidate"]


def test_a_champion_older_than_the_data_cannot_be_judged_and_that_is_said(bought: Purchases) -> None:
    last = prepare.EPOCH + dt.timedelta(bought.last_day)
    found = gate.decide(bought, PARAMETERS, 20, "code", card(PARAMETERS, last - dt.timedelta(400)))
    assert "The champion cannot be judged" in found.reasons[-1]


def test_few_customers_promote_nothing(bought: Purchases) -> None:
    assert gate.decide(bought, PARAMETERS, 1, "code").reasons[0].startswith("Only ")


def test_a_baseline_has_to_be_beaten_beyond_doubt() -> None:
    def judgement(values: np.ndarray) -> Judgement:
        return Judgement(values, values, values, 1.0)

    noise = np.random.default_rng(0).normal(0, 1, 200)
    base = judgement(np.zeros(200))
    assert not gate.compare(Task.NEW, "popularity", judgement(noise - noise.mean() + 0.05), base).passed
    assert gate.compare(Task.NEW, "champion", judgement(noise - noise.mean() + 0.05), base).passed
    assert gate.compare(Task.AGAIN, "champion", judgement(noise - noise.mean() - 0.05), base).passed
    for other, same in (("champion", True), (gate.RECIPE, False)):
        assert gate.compare(Task.NEW, other, judgement(noise - noise.mean() - 0.05), base, same).passed
        assert not gate.compare(Task.NEW, other, judgement(noise - noise.mean() - 0.5), base, same).passed
    assert not gate.compare(Task.AGAIN, "champion", judgement(noise - noise.mean() - 0.5), base).passed


# A whole run


@pytest.fixture
def settings(days: list[generate.Day], tmp_path: Path) -> Settings:
    """Settings of a shop whose days but the last two were ingested."""
    found = Settings.read(
        {}, data_url=f"file://{tmp_path}/data", registry_url=f"file://{tmp_path}/models", judged_days=20,
        neighbours=40, regularisation=20.0,
    )  # fmt: skip
    store = DayStore(found.data_url)
    for each in days[:-2]:
        store.take(batch(each), 1.0)
    return found


def test_days_become_a_champion_and_the_next_day_an_update(
    settings: Settings, days: list[generate.Day]
) -> None:
    registry = FolderRegistry(Path(settings.registry_url.removeprefix("file://")))
    version, decision = run.train(settings)
    assert decision.way == "anew, because there is no earlier fit"
    assert registry.tags("recommender", version)["data"] == decision.data
    assert (
        registry.root / "recommender" / "versions" / version / "decision.md"
    ).read_text() == gate.readable(decision)
    if decision.promoted:
        assert registry.version_of("recommender", "champion") == version
    DayStore(settings.data_url).take(batch(days[-1]), 1.0)
    version, decision = run.train(settings)
    assert version == "2"
    assert decision.way.startswith(("by an update", "anew, because the reference day moves on"))
    if decision.champion:
        assert decision.champion_age_days >= 1


@pytest.mark.parametrize("when", ["while it lay in the store", "before it was written"])
def test_a_damaged_fit_is_not_updated(
    settings: Settings, days: list[generate.Day], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    store = run.StateStore(settings)
    run.train(settings, promote=False)
    code = code_digest()
    kept = store.read(code)
    assert kept
    kept.inverse[3, 5] += 1e-3
    if when.startswith("before"):
        store.write(kept, code)
    else:
        np.save(f"{store.root}/{kept.digest}.npy", kept.inverse)
    monkeypatch.setattr(ease, "reference_day", lambda *_: kept.reference)
    DayStore(settings.data_url).take(batch(days[-1]), 1.0)
    _, decision = run.train(settings, promote=False)
    assert decision.way in (
        "anew, because there is no earlier fit", "anew, because the updated fit is not that of its data"
    )  # fmt: skip
    again = store.read(code)
    assert again
    assert ease.holds(again, prepare.purchases(run.read_lines(settings)))


def test_no_alias_moves_where_no_promotion_is_asked_for(settings: Settings) -> None:
    run.train(settings, promote=False)
    with pytest.raises(NotThere):
        FolderRegistry(Path(settings.registry_url.removeprefix("file://"))).version_of(
            "recommender", "champion"
        )


def test_a_champion_that_somebody_else_moved_is_not_overwritten(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, decision = run.train(settings, promote=False)
    registry = FolderRegistry(Path(settings.registry_url.removeprefix("file://")))
    decide = run.decide

    def meanwhile(*given: object) -> Decision:
        registry.point("recommender", "champion", version)
        return msgspec.structs.replace(decide(*given), promoted=True)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "decide", meanwhile)
    with pytest.raises(
        RegistryProblem, match="version 2 is not promoted: it was compared with champion none, and now"
    ):
        run.train(settings)
    assert registry.version_of("recommender", "champion") == version
    assert decision.champion == ""


def test_without_days_there_is_nothing_to_learn(tmp_path: Path) -> None:
    empty = Settings.read({}, data_url=f"file://{tmp_path}", registry_url=f"file://{tmp_path}/models")
    for train in (run.train, run_anomalies.train):
        with pytest.raises(run.NothingToLearn, match="ingest invoices first"):
            train(empty)  # type: ignore[operator]


def test_the_second_model_is_trained_with_settings_only(settings: Settings, days: list[generate.Day]) -> None:
    its = msgspec.structs.replace(settings, kind="anomalies", model="anomalies")
    version, decision = run_anomalies.train(its)
    assert decision.found > 0.9
    assert decision.promoted, decision.reasons
    registry = FolderRegistry(Path(settings.registry_url.removeprefix("file://")))
    assert registry.version_of("anomalies", "champion") == version
    tags = registry.tags("anomalies", version)
    assert (tags["champion_before"], tags["promoted"], len(tags["data"]), len(tags["code"])) == (
        "", "true", 64, 64,
    )  # fmt: skip
    # The same data again are nothing new; others are, and the way back is known.
    again, decision = run_anomalies.train(its)
    assert decision.reasons[0].startswith("Nothing is new")
    assert registry.version_of("anomalies", "champion") == version
    DayStore(settings.data_url).take(batch(days[-1]), 1.0)
    newer, decision = run_anomalies.train(its)
    assert decision.promoted
    assert registry.tags("anomalies", newer)["champion_before"] == version
    assert [registry.tags("anomalies", each)["promoted"] for each in (again, newer)] == ["false", "true"]


def test_a_second_model_that_somebody_else_moved_is_not_overwritten(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = msgspec.structs.replace(settings, kind="anomalies", model="anomalies")
    version, _ = run_anomalies.train(its, promote=False)
    registry, decide = (
        FolderRegistry(Path(settings.registry_url.removeprefix("file://"))), run_anomalies.decide
    )  # fmt: skip

    def meanwhile(*given: Any) -> Any:
        registry.point("anomalies", "champion", version)
        return decide(*given)

    monkeypatch.setattr(run_anomalies, "decide", meanwhile)
    with pytest.raises(
        RegistryProblem, match="version 2 is not promoted: it was compared with champion none"
    ):
        run_anomalies.train(its)
    assert registry.version_of("anomalies", "champion") == version
