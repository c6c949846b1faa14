"""Generated invoices, ingestion by day, cleaning and splits."""

from __future__ import annotations

import datetime as dt
import http.server
import lzma
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from metalworks_model.data import generate, ingest, prepare, run, sources
from metalworks_model.data.ingest import DayRefused, DayStore, Outcome
from metalworks_model.data.prepare import Purchases
from metalworks_model.data.sources import COLUMNS, Batch, SourceProblem
from metalworks_model.settings import Settings, SettingsProblem
from metalworks_model.watch import drift

from .conftest import DAYS, WORLD, batch, day

HEADER = ",".join(COLUMNS)
GOOD = "536365,85123A,WHITE LANTERN,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"


def text(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def one_day(*rows: str, date: str = "2010-12-01") -> Batch:
    return Batch(day(date), *sources.parse(text(*rows), "test.csv"))


# Generated invoices


def test_the_same_seed_gives_the_same_bytes(days: list[generate.Day]) -> None:
    again = list(generate.days(WORLD, 20))
    assert [each.csv() for each in again] == [each.csv() for each in days[:20]]


def test_another_seed_gives_other_invoices(days: list[generate.Day]) -> None:
    other = next(generate.days(msgspec.structs.replace(WORLD, seed=1), 1))
    assert other.csv() != days[0].csv()


def test_the_shop_is_closed_on_saturdays_and_at_christmas(days: list[generate.Day]) -> None:
    closed = {each.day for each in days if not len(each.lines)}
    assert {day("2010-12-04"), day("2010-12-24"), day("2011-01-03")} <= closed
    assert all(len(each.lines) > 20 for each in days if each.day not in closed)


def test_customers_buy_again_and_goods_come_back(lines: pa.Table) -> None:
    bought = prepare.purchases(prepare.clean(lines))
    pairs = bought.user.astype(np.int64) * len(bought.items) + bought.item
    repeats = 1 - len(np.unique(pairs)) / len(pairs)
    assert repeats > 0.3
    cancelled = lines.filter(pc.starts_with(lines["invoice"], "C"))
    assert len(cancelled) > 10
    assert pc.max(cancelled["quantity"]).as_py() < 0


def test_demand_drifts_over_the_months() -> None:
    def moved(wander: float) -> float:
        world = msgspec.structs.replace(WORLD, drift=wander, repeat=0.0)
        tables = [ingest.check(batch(each))[0] for each in generate.days(world, 60)]
        return drift.measure(pa.concat_tables(tables[:15]), pa.concat_tables(tables[-15:])).psi["item"]

    assert moved(1.5) > 2 * moved(0.0)


# Ingestion


def test_every_row_is_accepted_or_in_quarantine(days: list[generate.Day], tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    broken = 0
    for each in days[:30]:
        _, receipt = store.take(batch(each), quarantine_bound=1.0)
        assert receipt.rows == len(each.lines) == receipt.accepted + sum(receipt.quarantined.values())
        assert len(store.quarantined(each.day)) == sum(receipt.quarantined.values()) == len(each.broken)
        broken += len(each.broken)
    assert broken > 5
    assert len(store.lines()) + broken == sum(len(each.lines) for each in days[:30])


def test_a_second_run_changes_nothing(days: list[generate.Day], tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    assert store.take(batch(days[0]), 1.0)[0] is Outcome.NEW
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert store.take(batch(days[0]), 1.0)[0] is Outcome.UNCHANGED
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}


def test_late_rows_replace_the_day_and_are_not_added_twice(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    store.take(one_day(GOOD))
    outcome, receipt = store.take(one_day(GOOD, GOOD.replace("85123A", "71053")))
    assert (outcome, receipt.accepted, len(store.lines())) == (Outcome.REPLACED, 2, 2)


def test_a_late_day_is_taken_and_said(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    store.take(one_day(GOOD.replace("2010-12-01", "2010-12-03"), date="2010-12-03"))
    _, receipt = store.take(one_day(GOOD))
    assert receipt.warnings == ["the day came late: 1 later days were there already"]
    assert store.days() == [day("2010-12-01"), day("2010-12-03")]
    assert [str(each) for each in store.lines()["invoiced_at"].to_pylist()] == [
        "2010-12-01 08:26:00",
        "2010-12-03 08:26:00",
    ]


def test_an_empty_day_is_taken(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    missing = sources.read_day(f"{tmp_path}/none/{{day}}.csv", day("2010-12-04"))
    assert store.take(missing)[1].rows == 0
    assert store.days() == [day("2010-12-04")]


class Shop(http.server.BaseHTTPRequestHandler):
    """A source whose answer is the first part of the path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def shop() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_shop_without_a_file_for_a_day_sold_nothing(shop: str) -> None:
    assert sources.read_day(f"{shop}/404/{{day}}.csv", day("2010-12-04")).rows == 0


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_shop_that_fails_has_no_empty_day(shop: str, status: int) -> None:
    with pytest.raises(SourceProblem, match=f"2010-12-04.csv cannot be read: {status}"):
        sources.read_day(f"{shop}/{status}/{{day}}.csv", day("2010-12-04"))


def test_an_unreachable_shop_has_no_empty_day() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{{day}}.csv"
        with pytest.raises(SourceProblem, match="cannot be read: Cannot connect"):
            sources.read_day(url, day("2010-12-04"))


def test_a_run_that_ends_in_the_middle_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DayStore(f"file://{tmp_path}")
    write = ingest.write

    def stop(files: fsspec.AbstractFileSystem, path: str, content: bytes) -> None:
        if path.endswith(".json"):
            raise OSError("the machine stops")
        write(files, path, content)

    monkeypatch.setattr(ingest, "write", stop)
    with pytest.raises(OSError, match="the machine stops"):
        store.take(one_day(GOOD))
    monkeypatch.undo()
    assert store.days() == []
    assert store.take(one_day(GOOD))[0] is Outcome.NEW
    assert len(store.lines()) == 1


def test_a_day_with_many_bad_rows_is_refused_as_a_whole(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    rows = [GOOD] * 20 + [GOOD.replace(",6,", ",six,")] * 5
    with pytest.raises(DayRefused, match=r"5 of 25 rows are bad.*5 x Quantity is not a whole number"):
        store.take(one_day(*rows))
    assert [each.parent.parent.name for each in tmp_path.rglob("*.parquet")] == ["refused"]


def test_a_day_with_far_more_rows_than_usual_is_refused(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    store.take(one_day(GOOD))
    rows = [GOOD.replace("2010-12-01", "2010-12-02")] * 2001
    with pytest.raises(DayRefused, match="2001 rows are more than 20 times the usual 100"):
        store.take(one_day(*rows, date="2010-12-02"))
    assert store.take(one_day(*rows[:25], date="2010-12-02"))[0] is Outcome.NEW, "few sales vary much"


def test_a_refused_day_is_kept_until_it_is_taken(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    broken = one_day(*[GOOD] * 20, *[GOOD.replace(",6,", ",six,")] * 5, "torn")
    for _ in range(2):
        with pytest.raises(DayRefused):
            store.take(broken)
    assert broken.rows == len(store.refused(day("2010-12-01"))) == 26
    assert {each["values"]: each["counts"] for each in store.refused(day("2010-12-01"))["reason"]
            .value_counts().to_pylist()} == {
        "the day is refused": 20, "Quantity is not a whole number of at most 7 digits": 5,
        "the row has 1 columns, and not 8": 1,
    }  # fmt: skip
    store.take(one_day(GOOD))
    with pytest.raises(FileNotFoundError):
        store.refused(day("2010-12-01"))


def test_a_day_with_far_fewer_rows_than_usual_is_taken_with_a_warning(tmp_path: Path) -> None:
    store = DayStore(f"file://{tmp_path}")
    store.take(one_day(*[GOOD] * 30))
    _, receipt = store.take(one_day(GOOD.replace("2010-12-01", "2010-12-02"), date="2010-12-02"))
    assert receipt.warnings == ["1 rows are far fewer than the usual 30"]


def test_days_lie_in_any_store_that_fsspec_knows() -> None:
    store = DayStore("memory://shop")
    try:
        store.take(one_day(GOOD))
        assert store.days() == [day("2010-12-01")]
        assert len(store.lines()) == 1
    finally:
        fsspec.filesystem("memory").store.clear()


def test_values_become_what_they_mean(tmp_path: Path) -> None:
    row = " 536365 ,85123a,,+6,2010-12-01T08:26,1e1,,Ö"
    good, bad = ingest.check(one_day(row))
    assert len(bad) == 0
    assert good.to_pylist() == [
        {
            "invoice": "536365",
            "stock_code": "85123A",
            "description": None,
            "quantity": 6,
            "invoiced_at": dt.datetime(2010, 12, 1, 8, 26),
            "unit_price": 10.0,
            "customer": None,
            "country": "Ö",
        }
    ]


def test_one_packed_file_holds_many_days(days: list[generate.Day], tmp_path: Path) -> None:
    rows = b"".join(each.csv().partition(b"\n")[2] for each in days[:7])
    header = days[0].csv().partition(b"\n")[0] + b"\n"
    path = tmp_path / "all.csv.xz"
    path.write_bytes(lzma.compress(header + rows + b"\n"))
    found = list(sources.read_days(str(path)))
    # The closed day as well; and in the end what has no day.
    assert [each.day for each in found] == [*(each.day for each in days[:7]), None]
    assert sum(each.rows for each in found) == sum(len(each.lines) for each in days[:7])
    assert [each.day for each in sources.read_days(str(path), day("2010-12-03"), day("2010-12-05"))] == [
        day("2010-12-03"), day("2010-12-04"), day("2010-12-05"), None,
    ]  # fmt: skip


def test_rows_without_a_day_cost_no_day_and_are_kept_once(tmp_path: Path) -> None:
    dates = [f"2011-01-{number:02}" for number in range(1, 31)]
    rows = [GOOD.replace("2010-12-01", date) for date in dates for _ in range(100)]
    for date in ("", "today", "2011-02-30", "2011-W01-1", *["yesterday"] * 6):
        rows.append(GOOD.replace("2010-12-01", date) if date else GOOD.replace("2010-12-01 08:26:00", ""))
    (tmp_path / "all.csv").write_bytes(text(*rows, "torn"))
    settings = Settings.read({}, data_url=f"file://{tmp_path}/data", source_url=f"{tmp_path}/all.csv")
    taken = []
    for first, last in ((None, day("2011-01-10")), (day("2011-01-11"), None)):
        receipts, refused = run.ingest(settings, first, last)
        taken += receipts
        assert refused == []
    undated = DayStore(settings.data_url).undated()
    assert sum(each.rows for each in taken) + len(undated) == len(rows) + 1 == 3011
    assert undated["reason"].null_count == 0
    (tmp_path / "all.csv").write_bytes(text(*rows[-20:]))
    assert run.ingest(settings, None, None)[1][0].startswith("rows without a day: 10 of 20 rows are bad")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    content = text(f"{GOOD},France").replace(b"Country", b"Country,Country")
    with pytest.raises(SourceProblem, match=r"test.csv has the column Country more than once"):
        sources.parse(content, "test.csv")


def test_a_run_goes_on_after_a_refused_day(tmp_path: Path) -> None:
    for name, rows in (("2010-12-01", [GOOD]), ("2010-12-02", ["bad"] * 5), ("2010-12-03", [GOOD])):
        (tmp_path / f"{name}.csv").write_bytes(text(*rows).replace(b"2010-12-01 ", f"{name} ".encode()))
    settings = Settings.read({}, data_url=f"file://{tmp_path}/data", source_url=f"{tmp_path}/{{day}}.csv")
    receipts, refused = run.ingest(settings, day("2010-12-01"), day("2010-12-03"))
    assert [each.day for each in receipts] == ["2010-12-01", "2010-12-03"]
    assert len(refused) == 1
    assert "2010-12-02: 5 of 5 rows are bad" in refused[0]


@pytest.mark.parametrize(
    "unreadable", ["Ö".encode("latin-1"), lzma.compress(text(GOOD))[:-20], b"A,B\n1,2\n"]
)
def test_a_day_that_cannot_be_read_keeps_no_other_out(
    tmp_path: Path, unreadable: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    dates = [f"2010-12-0{number}" for number in range(1, 6)]
    for date in dates:
        content = lzma.compress(text(GOOD.replace("2010-12-01", date)))
        (tmp_path / f"{date}.csv.xz").write_bytes(content)
    bad = unreadable if unreadable.startswith(b"\xfd7zXZ") else lzma.compress(unreadable)
    (tmp_path / "2010-12-02.csv.xz").write_bytes(bad)
    settings = Settings.read({}, data_url=f"file://{tmp_path}/data", source_url=f"{tmp_path}/{{day}}.csv.xz")
    for _ in range(2):  # the next night as well
        receipts, refused = run.ingest(settings, day(dates[0]), day(dates[-1]))
        assert [each.day for each in receipts] == [dates[0], *dates[2:]]
        assert len(refused) == 1
        assert "2010-12-02.csv.xz" in refused[0]
    assert "4 days were taken over, and these were not:" in caplog.text


def test_a_run_takes_the_days_until_today_and_looks_again_at_the_last_ones(tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    source = tmp_path / "source"
    source.mkdir()
    settings = Settings.read({}, data_url=f"file://{tmp_path}/data", source_url=f"{source}/{{day}}.csv")
    run.ingest(settings, today - dt.timedelta(40), today - dt.timedelta(1))
    for back in (38, 8, 0):  # too late, late, and in time
        date = today - dt.timedelta(back)
        (source / f"{date}.csv").write_bytes(text(GOOD.replace("2010-12-01", str(date))))
    run.ingest(settings, None, None)
    store = DayStore(settings.data_url)
    found = {each: receipt.rows for each in store.days() if (receipt := store.receipt(each))}
    assert list(found) == [today - dt.timedelta(back) for back in range(40, -1, -1)]
    assert [each for each, rows in found.items() if rows] == [today - dt.timedelta(8), today]


def test_a_run_makes_no_days_before_the_first_one(tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    settings = Settings.read({}, data_url=f"file://{tmp_path}/data", source_url=f"{tmp_path}/{{day}}.csv")
    run.ingest(settings, today - dt.timedelta(2), today - dt.timedelta(1))
    run.ingest(settings, None, None)
    assert DayStore(settings.data_url).days() == [today - dt.timedelta(back) for back in (2, 1, 0)]


def test_a_generated_shop_goes_on_where_it_was(tmp_path: Path) -> None:
    def settings(name: str) -> Settings:
        url = "generated://?customers=60&items=50&baskets_a_day=4"
        return Settings.read({}, data_url=f"file://{tmp_path}/{name}", source_url=url)

    first = day("2011-01-03")
    run.ingest(settings("twice"), first, day("2011-01-06"))
    receipts, _ = run.ingest(settings("twice"), None, day("2011-01-09"))
    run.ingest(settings("once"), first, day("2011-01-09"))
    assert [each.day for each in receipts] == ["2011-01-07", "2011-01-08", "2011-01-09"]
    assert DayStore(f"file://{tmp_path}/twice").lines() == DayStore(f"file://{tmp_path}/once").lines()


@pytest.mark.parametrize(
    ("url", "first", "last", "message"),
    [
        ("", None, None, "SOURCE_URL is missing"),
        ("generated://?customer=4", None, None, "describes no shop: .*customer"),
        ("generated://?customers=many", None, None, "describes no shop: .*int"),
        ("generated://?customers", None, None, "describes no shop"),
        ("x/{day}.csv", day("2011-01-02"), day("2011-01-01"), "is after the last one"),
    ],
)
def test_a_run_without_what_it_needs_is_refused(
    url: str, first: dt.date | None, last: dt.date | None, message: str
) -> None:
    with pytest.raises(SettingsProblem, match=message):
        run.ingest(Settings.read({}, source_url=url), first, last)


def test_a_source_without_dates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text(GOOD.replace("2010-12-01 08:26:00", "today")))
    with pytest.raises(SourceProblem, match="no row with a date"):
        list(sources.read_days(str(tmp_path / "a.csv")))


# Cleaning and splits


def test_only_goods_that_known_customers_bought_are_kept() -> None:
    rows = [
        GOOD,
        GOOD.replace("17850.0", ""),  # nobody knows who
        GOOD.replace("536365", "C536365").replace(",6,", ",-6,"),  # cancelled
        GOOD.replace("2.55", "0.0"),
        GOOD.replace("85123A", "POST"),
    ]
    good, _ = ingest.check(one_day(*rows))
    assert len(good) == 5
    assert len(prepare.clean(good)) == 1


def test_an_item_counts_once_in_a_basket() -> None:
    good, _ = ingest.check(one_day(GOOD, GOOD, GOOD.replace("536365", "536366")))
    assert len(prepare.purchases(prepare.clean(good))) == 2


def test_a_later_day_only_appends_names(bought: Purchases) -> None:
    half = bought.select(bought.day < bought.last_day - 20).compact()
    assert half.users.tolist() == bought.users[: len(half.users)].tolist()
    assert half.items.tolist() == bought.items[: len(half.items)].tolist()
    assert len(half.items) < len(bought.items)


def test_a_split_by_time_shares_no_day(bought: Purchases) -> None:
    first = WORLD.first + dt.timedelta(DAYS - 20)
    parts = prepare.split(bought, first, first + dt.timedelta(10))
    assert parts.train.day.max() < prepare.day_number(first) <= parts.test.day.min()
    assert parts.test.day.max() < prepare.day_number(first) + 10


@pytest.mark.parametrize("first", [WORLD.first, WORLD.first + dt.timedelta(DAYS + 5)])
def test_a_split_outside_of_the_data_is_refused(bought: Purchases, first: dt.date) -> None:
    with pytest.raises(ValueError, match="choose a day inside of the data"):
        prepare.split(bought, first, first + dt.timedelta(9))


def test_the_hash_of_the_data_sees_each_purchase(bought: Purchases) -> None:
    mask = np.ones(len(bought), bool)
    mask[3] = False
    assert bought.digest() == bought.select(mask | True).digest() != bought.select(mask).digest()
