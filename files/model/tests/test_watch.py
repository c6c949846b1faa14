"""Drift, hit rates, the trigger, and what Prometheus sees of them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import certifi
import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from metalworks_model.data import prepare
from metalworks_model.data.ingest import DayStore
from metalworks_model.models.registry import open_registry
from metalworks_model.settings import Settings
from metalworks_model.shop.events import Event
from metalworks_model.watch import drift, online, trigger
from metalworks_model.watch import run as watch_run
from metalworks_model.watch.rates import Rate
from metalworks_model.watch.run import Series, Watch
from prometheus_client import generate_latest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from .conftest import batch, generate

LIMITS = trigger.Limits(0.25, 100, 86400.0)
DAY = 86400.0


def test_the_index_is_its_formula() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.3, 0.6])
    expected = stats.entropy(p, q) + stats.entropy(q, p)
    assert drift.psi(p * 1000, q * 500) == pytest.approx(expected)
    assert drift.psi(p, p) == 0
    assert np.isfinite(drift.psi(np.array([1, 0]), np.array([0, 1])))


def test_the_distance_is_that_of_scipy() -> None:
    p, q = np.array([5, 0, 3]), np.array([1, 4, 0])
    assert drift.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2))
    assert drift.jensen_shannon(p, 2 * p) == pytest.approx(0, abs=1e-7)


def test_bins_hold_every_row() -> None:
    random = np.random.default_rng(0)
    before, after = drift.bins_of_numbers(random.random(500), random.random(300) * 9 - 4)
    assert (before.sum(), after.sum()) == (500, 300)
    before, after = drift.bins_of_numbers(np.ones(50), np.ones(20))  # all values are equal
    assert (before.sum(), after.sum()) == (50, 20)
    before, after = drift.bins_of_names(["a", "a", "b"], ["b", "new"])
    assert (before.tolist(), after.tolist()) == ([2, 1, 0], [0, 1, 1])


def test_equal_days_do_not_drift_and_other_prices_do(lines: pa.Table) -> None:
    clean = prepare.clean(lines)
    order = np.random.default_rng(0).permutation(len(clean))
    one, two = clean.take(order[: len(order) // 2]), clean.take(order[len(order) // 2 :])
    assert drift.measure(one, two).largest("anomalies") < 0.1
    dear = two.set_column(
        two.column_names.index("unit_price"), "unit_price", pa.array(two["unit_price"].to_numpy() * 3)
    )
    found = drift.measure(one, dear)
    assert found.psi["unit_price"] > 0.25
    assert found.psi["quantity"] < 0.1
    # A recommender does not see prices.
    assert found.largest("anomalies") == found.psi["unit_price"]
    assert found.largest("recommender") == found.psi["item"] < 0.1


def test_customers_are_unknown_who_never_bought_before(days: list[generate.Day], tmp_path: Path) -> None:
    settings = Settings.read(
        {}, data_url=f"file://{tmp_path}/data", registry_url=f"file://{tmp_path}/models", reference_days=2
    )
    store, series = DayStore(settings.data_url), Series()
    watch = Watch(settings, series)
    for end in (45, 65):  # the second look learns only the days between
        for each in days[end - 40 : end]:
            store.take(batch(each), 1.0)
        watch.look(0.0)
        before, recent = (
            prepare.clean(store.lines(each for each in store.days() if (each <= days[end - 8].day) == old))
            for old in (True, False)
        )
        for column, name in (("customer", "unknown_user_ratio"), ("stock_code", "new_item_ratio")):
            known = set(before[column].to_pylist())
            expected = np.mean([each not in known for each in recent[column].to_pylist()])
            assert series.registry.get_sample_value(f"metalworks_model_{name}") == pytest.approx(expected)


# Hit rates


def shown(at: float, customer: str, *items: str, version: str = "1") -> Event:
    return Event(
        kind="shown",
        at=at,
        customer=customer,
        items=list(items),
        request=f"r{at}",
        model="m",
        version=version,
    )


def paid(at: float, customer: str, item: str) -> Event:
    return Event(kind="bought", at=at, customer=customer, items=[item])


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([shown(0, "a", "x"), paid(10, "a", "x")], {"1": (1, 1)}),
        ([shown(0, "a", "x"), paid(10, "a", "y")], {"1": (1, 0)}),  # something else
        ([shown(0, "a", "x"), paid(10, "b", "x")], {"1": (1, 0)}),  # somebody else
        ([shown(0, "a", "x"), paid(online.WINDOW + 1, "a", "x")], {"1": (1, 0)}),  # too late
        ([paid(10, "a", "x"), shown(20, "a", "x")], {"1": (1, 0)}),  # bought before it was shown
        ([paid(10, "a", "x"), shown(0, "a", "x")], {"1": (1, 1)}),  # events in another order
        (
            [shown(0, "a", "x", "y"), paid(1, "a", "x"), paid(2, "a", "y")],
            {"1": (1, 1)},
        ),  # an answer hits once
        # A purchase counts for the latest answer that showed the item.
        (
            [shown(0, "a", "x"), shown(5, "a", "x", version="2"), paid(9, "a", "x")],
            {"1": (1, 0), "2": (1, 1)},
        ),
        (
            [shown(0, "a", "x"), shown(5, "a", "y", version="2"), paid(9, "a", "x")],
            {"1": (1, 1), "2": (1, 0)},
        ),
    ],
)
def test_purchases_are_joined_with_what_was_shown(
    events: list[Event], expected: dict[str, tuple[int, int]]
) -> None:
    found = online.hit_rates(events)
    assert {version: (each.of, each.some) for (_, version), each in found.items()} == expected


def test_the_interval_is_that_of_wilson() -> None:
    low, high = Rate(10, 50).interval()
    expected = stats.binomtest(10, 50).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert Rate(0, 0).interval() == (0.0, 1.0)


# The trigger


def test_two_days_over_the_bound_ask_for_a_retraining_and_the_cool_down_holds() -> None:
    state, asked = trigger.State(), []
    for number in range(6):
        state, retrain, _ = trigger.decide(
            state, f"day {number}", 0.4, 1000, LIMITS, 10 * DAY + number * DAY / 3
        )
        asked.append(retrain)
    assert asked == [False, True, False, False, True, False]


@pytest.mark.parametrize(
    ("state", "largest", "rows", "day", "retrain", "over", "says"),
    [
        (trigger.State(), 0.3, 1000, "b", False, 1, "1 days in a row"),
        (trigger.State(1, "a"), 0.3, 99, "b", False, 1, "99 rows say nothing about drift"),
        (trigger.State(1, "a"), 0.3, 1000, "a", False, 1, "was judged before"),
        (trigger.State(1, "a"), 0.3, 1000, "b", True, 0, "A retraining is asked for."),
        (
            trigger.State(1, "a"),
            0.22,
            1000,
            "b",
            False,
            1,
            "1 days in a row",
        ),  # between the bound and its clearing
        (trigger.State(1, "a"), 0.1, 1000, "b", False, 0, "0 days in a row"),
        (trigger.State(1, "a", 100 * DAY - 60), 0.3, 1000, "b", False, 2, "60 s ago; the cool-down goes on"),
    ],
)
def test_the_trigger_decides(
    state: trigger.State, largest: float, rows: int, day: str, retrain: bool, over: int, says: str
) -> None:
    found, decided, said = trigger.decide(state, day, largest, rows, LIMITS, 100 * DAY)
    assert (decided, found.over) == (retrain, over)
    assert says in said


CRONJOB = {
    "metadata": {"uid": "u1"},
    "spec": {"jobTemplate": {"metadata": {"labels": {"app": "model"}}, "spec": {"backoffLimit": 1}}},
}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """The folder of a service account."""
    (tmp_path / "namespace").write_text("model")
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "ca.crt").symlink_to(certifi.where())
    return tmp_path


def test_a_retraining_is_a_job_of_the_cronjob(account: Path) -> None:
    asked: list[httpx.Request] = []

    def kubernetes(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=CRONJOB) if request.method == "GET" else httpx.Response(201, json={})

    name = trigger.start_job("retrain", "drift", account, httpx.MockTransport(kubernetes))
    cluster = "https://kubernetes.default.svc/apis/batch/v1/namespaces/model"
    assert [str(each.url) for each in asked] == [f"{cluster}/cronjobs/retrain", f"{cluster}/jobs"]
    assert {each.headers["Authorization"] for each in asked} == {"Bearer secret"}
    job = json.loads(asked[1].content)
    assert (job["metadata"]["name"], job["spec"], job["metadata"]["labels"]) == (
        name,
        {"backoffLimit": 1},
        {"app": "model"},
    )
    assert job["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert job["metadata"]["ownerReferences"][0]["controller"] is True
    assert job["metadata"]["annotations"]["metalworks/why"] == "drift"


def test_an_api_without_the_cronjob_or_without_an_answer_is_said(account: Path) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    missing = httpx.MockTransport(lambda _: httpx.Response(404, text="not found"))
    with pytest.raises(trigger.JobProblem, match="cronjobs/other: 404 not found"):
        trigger.start_job("other", "drift", account, missing)
    with pytest.raises(trigger.JobProblem, match="Kubernetes does not answer: refused"):
        trigger.start_job("retrain", "drift", account, httpx.MockTransport(silent))
    with pytest.raises(trigger.JobProblem, match="no pod with a service account"):
        trigger.start_job("retrain", "drift", account / "none")


# A look


def put_champion(settings: Settings, folder: Path) -> None:
    """Publish a version that anybody may serve."""
    folder.mkdir()
    registry = open_registry(settings.registry_url)
    version = registry.publish(settings.model, folder, {"data_until": "1970-01-02"}, {})
    registry.point(settings.model, settings.champion, version)


def test_a_look_shows_all_series_and_asks_once(days: list[generate.Day], tmp_path: Path) -> None:
    events = [shown(0, "a", "x"), paid(10, "a", "x")]
    day = dt.date(1970, 1, 1)
    (tmp_path / f"{day}.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(events))
    settings = Settings.read(
        {}, data_url=f"file://{tmp_path}/data", registry_url=f"file://{tmp_path}/models",
        drift_bound=1e-6, drift_rows=10, retrain_cronjob="retrain", showings_url=f"{tmp_path}/{{day}}.jsonl",
    )  # fmt: skip
    store, series, started = DayStore(settings.data_url), Series(), []
    watch = Watch(settings, series, lambda name, why: started.append((name, why)) or "job")
    assert watch.look(100.0) == "There are no days yet."
    for each in days[:45]:
        store.take(batch(each), 1.0)
    # A history is being ingested, and the first training comes after it.
    assert watch.look(150.0) == "There is no champion yet, so nothing is retrained."
    put_champion(settings, tmp_path / "some-model")
    assert "1 days in a row were over it" in watch.look(200.0)
    assert "was judged before" in watch.look(300.0)
    for each in days[45:48]:
        store.take(batch(each), 1.0)
    # The state is in the store: another process goes on with it.
    again = Watch(settings, series, lambda name, why: started.append((name, why)) or "job")
    assert "Job job." in again.look(100_000.0)
    assert [name for name, _ in started] == ["retrain"]
    text = generate_latest(series.registry).decode()
    for start in (
        'metalworks_model_drift_psi{input="item"}',
        'metalworks_model_online_hit_rate{model="m",version="1"} 1.0',
        "metalworks_model_retraining_asked_timestamp_seconds 100000.0",
        'metalworks_model_data_until_timestamp_seconds{source="invoices"}',
        "metalworks_model_unknown_user_ratio",
        "metalworks_model_drift_bound 1e-06",
        "metalworks_model_drift_rows_needed 10.0",
        'metalworks_model_model_data_until_timestamp_seconds{alias="champion",version="1"} 86400.0',
    ):
        assert any(line.startswith(start) for line in text.splitlines()), start


def test_a_store_that_takes_no_writes_starts_no_job_and_a_job_that_fails_is_asked_for_again(
    days: list[generate.Day], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.read(
        {}, data_url=f"file://{tmp_path}/data", registry_url=f"file://{tmp_path}/models", drift_bound=1e-6,
        drift_rows=10, retrain_cronjob="retrain",
    )  # fmt: skip
    store, started = DayStore(settings.data_url), []
    for each in days[:45]:
        store.take(batch(each), 1.0)
    watch = Watch(settings, Series(), lambda *given: started.append(given) or "job")
    put_champion(settings, tmp_path / "some-model")
    watch.look(100_000.0)
    for each in days[45:48]:
        store.take(batch(each), 1.0)

    def full(*_: object) -> None:
        raise OSError("the budget is used up")

    with monkeypatch.context() as patch:
        patch.setattr(watch_run, "write", full)
        for _ in range(3):
            with pytest.raises(OSError, match="budget"):
                watch.look(100_060.0)
    assert started == []

    def refuse(*_: object) -> str:
        raise trigger.JobProblem("no quota")

    with pytest.raises(trigger.JobProblem):
        Watch(settings, Series(), refuse).look(100_120.0)
    assert "Job job." in watch.look(100_180.0)
    assert "was judged before" in watch.look(100_240.0)
    assert len(started) == 1


def test_a_look_that_fails_is_counted_and_the_next_one_goes_on(tmp_path: Path) -> None:
    data, series = f"file://{tmp_path}/data", Series()
    Watch(Settings.read({}, data_url=data, registry_url="http://127.0.0.1:1"), series).try_to_look()
    assert series.registry.get_sample_value("metalworks_model_watch_failures") == 1
    assert not series.registry.get_sample_value("metalworks_model_watch_looked_timestamp_seconds")
    Watch(Settings.read({}, data_url=data, registry_url=f"file://{tmp_path}/models"), series).try_to_look()
    assert series.registry.get_sample_value("metalworks_model_watch_failures") == 1
    assert series.registry.get_sample_value("metalworks_model_watch_looked_timestamp_seconds")
