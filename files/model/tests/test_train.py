"""EASE, its update by a day, its shards, the baselines, the anomalies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from metalworks_model.data.prepare import Purchases
from metalworks_model.models.anomalies import Anomalies
from metalworks_model.models.artifact import load
from metalworks_model.serve import oip
from metalworks_model.settings import Settings
from metalworks_model.train import anomalies, baselines, ease, fit, sharded
from metalworks_model.train import workers as workers_of_job

from .conftest import PARAMETERS, WORLD, batch, generate, ingest


def through(bought: Purchases, last_day: int) -> Purchases:
    return bought.select(bought.day <= last_day).compact()


def test_the_weights_are_those_of_the_paper(bought: Purchases) -> None:
    # Steck 2019: B minimises |X - XB|^2 + lambda |B|^2 with a diagonal of 0. Each column by itself is a ridge
    # regression.
    rows = ease.history(bought, PARAMETERS, ease.reference_day(bought.last_day, 7)).toarray()
    weights = ease.fit(bought, PARAMETERS).weights()
    for item in (0, 7, len(bought.items) - 1):
        others = np.delete(np.arange(len(bought.items)), item)
        left = rows[:, others].T @ rows[:, others] + PARAMETERS.regularisation * np.eye(len(others))
        expected = np.linalg.solve(left, rows[:, others].T @ rows[:, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-6)
        assert weights[item, item] == 0


def test_a_purchase_of_one_half_life_counts_half(bought: Purchases) -> None:
    reference = 100
    one = Purchases(
        np.array(["a"]),
        np.array(["x", "y"]),
        *(np.array(each, np.int32) for each in ([0, 0], [0, 1], [0, 1], [20, 100])),
    )
    rows = ease.history(one, ease.Parameters(half_life=80.0), reference).toarray()
    np.testing.assert_allclose(rows**2, [[0.5, 1.0]])


def test_the_last_purchase_of_an_item_counts() -> None:
    one = Purchases(
        np.array(["a"]),
        np.array(["x"]),
        *(np.array(each, np.int32) for each in ([0, 0], [0, 0], [0, 1], [20, 100])),
    )
    assert ease.history(one, PARAMETERS, 100).toarray().tolist() == [[1.0]]


def test_updates_by_days_equal_a_full_fit(bought: Purchases) -> None:
    days = np.unique(bought.day).tolist()
    model = ease.fit(through(bought, days[-25]), PARAMETERS)
    updated = 0
    for day in days[-24:]:
        now = through(bought, day)
        if ease.can_update(model, now, PARAMETERS):
            model = ease.fit(now, PARAMETERS)
            continue
        known = len(model.inverse)
        model = ease.update(model, now)
        updated += 1
        full = ease.fit(now, PARAMETERS)
        assert np.abs(model.weights() - full.weights()).max() < 1e-5
        assert np.abs(model.inverse - full.inverse).max() < 1e-8
        assert (model.digest, model.last_day, model.reference) == (full.digest, full.last_day, full.reference)
        assert known <= len(model.inverse) == len(now.items)
    assert updated >= 15


def test_an_update_takes_new_items_and_new_customers() -> None:
    def some(*purchases: tuple[int, int, int, int]) -> Purchases:
        columns = (np.array(each, np.int32) for each in zip(*purchases, strict=True))
        return Purchases(np.array(["a", "b"]), np.array(["x", "y", "z"]), *columns).compact()

    before = [(0, 0, 0, 14), (0, 1, 0, 14)]
    model = ease.fit(some(*before), PARAMETERS)
    after = some(*before, (0, 2, 1, 15), (1, 0, 2, 15))
    assert len(model.inverse) == 2
    np.testing.assert_allclose(
        ease.update(model, after).inverse, ease.fit(after, PARAMETERS).inverse, atol=1e-14
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("parameters", "the parameters changed"),
        ("same", "there is no newer day"),
        ("late", "the days before changed, or came late"),
        ("reference", "the reference day moves on"),
    ],
)
def test_a_model_that_cannot_be_updated_says_why(bought: Purchases, change: str, reason: str) -> None:
    days = np.unique(bought.day)
    days = days[days % 7 != 0]
    model = ease.fit(through(bought, int(days[-2])), PARAMETERS)
    now, parameters = through(bought, int(days[-1])), PARAMETERS
    if change == "parameters":
        parameters = ease.Parameters(neighbours=40, regularisation=21.0)
    elif change == "same":
        now = through(bought, int(days[-2]))
    elif change == "late":
        now = now.select(np.arange(len(now)) != 5).compact()
    else:
        shifted = now.day.copy()
        shifted[-1] += 7
        now = Purchases(now.users, now.items, now.user, now.item, now.basket, shifted)
    assert ease.can_update(model, now, parameters) == reason
    if change != "parameters":
        with pytest.raises(ValueError, match=reason):
            ease.update(model, now)


def test_a_fit_gives_the_same_bits_each_time(
    lines: pa.Table, bought: Purchases, artifact: Path, tmp_path: Path
) -> None:
    fit.write(tmp_path / "again", bought, ease.fit(bought, PARAMETERS), fit.names_of(bought.items, lines))
    first = {path.name: path.read_bytes() for path in artifact.iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}


def test_without_regularisation_the_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="the regularisation has to be > 0"):
        ease.invert(np.zeros((3, 3)), 0.0)


def test_pruning_keeps_the_largest_weights() -> None:
    weights = np.random.default_rng(0).standard_normal((300, 300)).astype(np.float32)
    weights[5] = 1.0  # all equal: the first are kept
    items, kept = ease.prune(weights, 17)
    assert items[5].tolist() == list(range(17))
    for row in (0, 17, 299):
        expected = sorted(np.argsort(-np.abs(weights[row]))[:17].tolist())
        assert items[row].tolist() == expected
        assert kept[row].tolist() == weights[row, expected].tolist()


def test_pruning_a_small_model_keeps_all() -> None:
    items, _ = ease.prune(np.ones((4, 4), np.float32), 200)
    assert items.tolist() == [[0, 1, 2, 3]] * 4


def test_the_trend_of_an_item_is_its_late_demand_to_its_long_one() -> None:
    day = np.array([0] * 10 + [100] * 10, np.int32)
    item = np.array([0] * 10 + [1] * 9 + [0], np.int32)
    some = Purchases(
        np.array(["a"]),
        np.array(["old", "new"]),
        np.zeros(20, np.int32),
        item,
        np.arange(20, dtype=np.int32),
        day,
    )
    trend = ease.trend(some, PARAMETERS)
    assert trend[1] > 1 > trend[0]
    assert ease.trend(some, ease.Parameters(trend=0.0)).tolist() == [1.0, 1.0]


# Shards


@pytest.fixture(scope="module")
def workers() -> Iterator[object]:
    """Two workers of Dask, in this process."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore")
def test_shards_on_workers_equal_one_process(bought: Purchases, workers: object) -> None:
    one = ease.fit(bought, PARAMETERS)
    several = sharded.fit(workers, bought, PARAMETERS)
    assert np.abs(several.weights() - one.weights()).max() < 1e-5
    assert np.abs(several.inverse - one.inverse).max() < 1e-10
    assert several.inverse.tobytes() == sharded.fit(workers, bought, PARAMETERS).inverse.tobytes()


def test_each_customer_is_in_one_shard_whoever_else_is_there(bought: Purchases) -> None:
    whole = sharded.shard_of(bought.users, 8)
    assert set(whole.tolist()) == set(range(8))
    assert sharded.shard_of(bought.users[5:9], 8).tolist() == whole[5:9].tolist()


@pytest.mark.filterwarnings("ignore")
def test_pods_of_a_job_are_workers_of_its_first_as_often_as_it_asks(bought: Purchases) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    settings = Settings.read({}, dask_scheduler=address, workers=2)
    command = [sys.executable, "-m", "metalworks_model", "train"]
    its = {**os.environ, "METALWORKS_MODEL_DASK_SCHEDULER": address}
    pods = [subprocess.Popen(command, env={**its, "JOB_COMPLETION_INDEX": each}) for each in "12"]
    try:
        # The second time is a first pod that was started again.
        for _ in range(2):
            with workers_of_job.client(settings) as client:
                several = sharded.fit(client, bought, PARAMETERS)
            assert np.abs(several.inverse - ease.fit(bought, PARAMETERS).inverse).max() < 1e-10
        assert [each.poll() for each in pods] == [None, None]
    finally:
        for each in pods:
            each.kill()
            each.wait()


@pytest.mark.filterwarnings("ignore")
def test_workers_that_do_not_come_are_counted() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    settings = Settings.read({}, dask_scheduler=address, workers=1, workers_timeout=0.5)
    with (
        pytest.raises(RuntimeError, match="0 of 1 workers came within"),
        workers_of_job.client(settings),
    ):
        pass


# Baselines


def test_popularity_counts_customers_not_purchases(bought: Purchases) -> None:
    item = int(np.bincount(bought.item).argmax())
    assert baselines.popularity(bought)[item] == len(np.unique(bought.user[bought.item == item]))


# Unusual lines


def test_injected_mistakes_are_found_and_little_else(days: list[generate.Day], tmp_path: Path) -> None:
    tables, wrong, seen = [], [], 0
    for each in days:
        good, bad = ingest.check(batch(each))
        gone = {int(line) - 2 for line in bad["line"].to_pylist()}
        kept = [row for row in range(len(each.lines)) if row not in gone]
        wrong += [seen + at for at, row in enumerate(kept) if row in each.absurd]
        seen += len(kept)
        tables.append(good)
    lines = pa.concat_tables(tables)
    anomalies.write(tmp_path / "model", lines, "2011-02-13", "x")
    model = Anomalies(*load(tmp_path / "model"))
    inputs = {
        "stock_code": np.array(lines["stock_code"].to_pylist(), object),
        "quantity": lines["quantity"].to_numpy(),
        "unit_price": lines["unit_price"].to_numpy(),
    }
    found = model.infer(inputs, {})["anomaly"]
    assert len(wrong) >= 5
    assert found[wrong].mean() >= 0.9
    assert found.sum() <= len(wrong) + 0.001 * len(lines)
    assert WORLD.absurd > 0
    # As it is served: a request that names no outputs gets all.
    columns = [(each.name, each.datatype, inputs[each.name][:3].tolist()) for each in model.inputs]
    asked = [oip.Input(name, [3], kind, data=data) for name, kind, data in columns]
    request, rest = oip.read_request(oip.ENCODER.encode(oip.InferRequest(asked)), None)
    wanted = oip.wanted_outputs(request, model)
    arrays = model.infer(oip.read_inputs(request, rest, model.inputs), {})
    body, _ = oip.answer(request, model, "lines", "1", arrays, wanted)
    answered = {each["name"]: each["data"] for each in msgspec.json.decode(body)["outputs"]}
    assert answered["anomaly"] == model.infer(inputs, {})["anomaly"][:3].tolist()
    assert list(answered) == ["score", "anomaly", "reason"]
