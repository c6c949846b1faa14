"""The shop: its pages, what it keeps, and that its purchases are ingested as a second source."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from metalworks_model.data import ingest, sources
from metalworks_model.data.prepare import Purchases
from metalworks_model.shop.app import Shop, make_app
from metalworks_model.shop.events import Event, EventLog, invoices
from starlette.testclient import TestClient

from .conftest import Process, some_user

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def events(tmp_path: Path) -> EventLog:
    """The shop's events."""
    return EventLog(tmp_path / "events")


@pytest.fixture
def shop(shared: Process, events: EventLog) -> Iterator[TestClient]:
    """The shop in front of a real model server."""
    with TestClient(
        make_app(Shop(f"http://127.0.0.1:{shared.port}", events)), follow_redirects=False
    ) as client:
        yield client


def today(events: EventLog) -> list[Event]:
    day = dt.datetime.now(dt.UTC).date()
    found = [*events.read(day - dt.timedelta(1)), *events.read(day)]
    return [each for each in found if isinstance(each, Event)]


def test_a_visitor_chooses_a_customer(shop: TestClient, bought: Purchases) -> None:
    page = shop.get("/")
    assert page.status_code == 200
    assert f'<a href="customers/{some_user(bought)}">' in page.text


def test_a_customer_sees_history_recommendations_and_reasons(
    shop: TestClient, bought: Purchases, events: EventLog
) -> None:
    user = some_user(bought)
    page = shop.get(f"/customers/{user}").text
    for words in (
        "Bought before",
        "You may also like",
        "Buy again",
        "Because you bought",
        "You bought it in",
        "version 1",
    ):
        assert words in page
    shown = today(events)
    assert [(each.kind, each.customer, each.version, len(each.items)) for each in shown] == [
        ("shown", user, "1", 12)
    ] * 2
    assert all(each.request for each in shown)


def test_a_purchase_is_kept_and_ingested_as_a_second_source(
    shop: TestClient, bought: Purchases, events: EventLog, tmp_path: Path
) -> None:
    user, item = some_user(bought), str(bought.items[0])
    for kind in ("clicked", "bought"):
        form = {
            "kind": kind,
            "item": item,
            "text": "A <MUG>",
            "request": "r1",
            "model": "recommender",
            "version": "1",
        }
        answer = shop.post(f"/customers/{user}", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{user}?{kind}={item}")
    clicked, paid = today(events)
    assert (clicked.kind, paid.kind, paid.items, paid.request) == ("clicked", "bought", [item], "r1")
    day = paid.moment.date()
    batch = sources.Batch(day, *sources.parse(shop.get(f"/invoices/{day}.csv").content, "shop"))
    store = ingest.DayStore(f"file://{tmp_path}/data", "shop")
    _, receipt = store.take(batch)
    assert (receipt.rows, receipt.accepted) == (1, 1)
    (line,) = store.lines().to_pylist()
    assert (line["customer"], line["stock_code"], line["description"], line["quantity"]) == (
        user,
        item,
        "A <MUG>",
        1,
    )
    assert 'kind="bought",model="recommender",version="1"' in shop.get("/metrics").text
    assert len(shop.get(f"/showings/{day}.jsonl").content.splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/customers/17850", {"kind": "stolen", "item": "22423"}, 400),
        ("/customers/17850", {"kind": "bought", "item": "a b"}, 400),
        ("/customers/17850", {"kind": "bought"}, 400),
        ("/customers/me", {"kind": "bought", "item": "22423"}, 400),
        ("/customers/17850", {"kind": "bought", "item": "22423", "text": "x" * 200}, 400),
    ],
)
def test_a_bad_form_is_refused_and_nothing_is_kept(
    shop: TestClient, events: EventLog, path: str, form: dict[str, str], status: int
) -> None:
    assert shop.post(path, data=form).status_code == status
    assert today(events) == []


def test_a_form_of_another_site_is_refused(shop: TestClient, events: EventLog) -> None:
    form = {"kind": "bought", "item": "22423"}
    assert (
        shop.post("/customers/17850", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    )
    assert today(events) == []


@pytest.mark.parametrize(
    "path", ["/customers/x%3Cscript%3E", "/invoices/today.csv", "/showings/2011-13-01.jsonl"]
)
def test_a_path_that_is_nothing_is_404(shop: TestClient, path: str) -> None:
    answer = shop.get(path)
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_without_the_model_server_the_page_says_so(events: EventLog) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = httpx.AsyncClient(base_url="http://model", transport=httpx.MockTransport(refuse))
    with TestClient(make_app(Shop("http://model", events, client))) as shop:
        page = shop.get("/")
        assert page.status_code == 503
        assert "the model server does not answer: refused" in page.text
        assert shop.get("/healthz").status_code == 200


def test_names_of_items_cannot_break_the_page(events: EventLog) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        bad = "<script>alert(1)</script>"
        return httpx.Response(200, json={"customers": [{"user": bad, "items": 1}]})

    client = httpx.AsyncClient(base_url="http://model", transport=httpx.MockTransport(answer))
    with TestClient(make_app(Shop("http://model", events, client))) as shop:
        assert "<script>" not in shop.get("/").text


def test_a_line_that_was_not_written_to_its_end_is_left_out(events: EventLog) -> None:
    event = Event(kind="bought", at=time.time(), customer="1", items=["x"], invoice="S1")
    events.add(event)
    path = events._path(event.moment.date())
    path.write_bytes(path.read_bytes() + b'{"kind":"bou')
    assert list(events.read(event.moment.date())) == [event]
    assert len(invoices(events.read(event.moment.date()))) == 1


def test_what_follows_a_torn_line_is_kept_and_the_torn_line_goes_into_quarantine(
    events: EventLog, tmp_path: Path
) -> None:
    event = Event(kind="bought", at=time.time(), customer="17850", items=["22423"], invoice="S1", price=1.0)
    date = event.moment.date()
    events._path(date).write_bytes(b'{"kind":"bou\xff')  # the machine stopped here
    events.add(event)
    events.add(event)
    torn, *whole = events.read(date)
    assert (torn, whole) == (b'{"kind":"bou\xff', [event, event])
    with TestClient(make_app(Shop("http://model", events))) as shop:
        rows = shop.get(f"/invoices/{date}.csv").content
        assert len(shop.get(f"/showings/{date}.jsonl").content.splitlines()) == 2
    store = ingest.DayStore(f"file://{tmp_path}/data", "shop")
    _, receipt = store.take(sources.Batch(date, *sources.parse(rows, "shop")))
    assert (receipt.rows, receipt.accepted, receipt.quarantined) == (3, 2, {"InvoiceNo is missing": 1})
    assert store.quarantined(date)["description"].to_pylist() == ['{"kind":"bou\ufffd']
