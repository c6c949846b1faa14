"""The shop's pages: choose a customer, see history and recommendations with their reasons, click, buy."""

from __future__ import annotations

import datetime as dt
import io
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jinja2
import msgspec
from prometheus_client import CollectorRegistry, Counter, generate_latest
from pyarrow import csv
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from .events import Event, EventLog, invoices

log = logging.getLogger(__name__)
PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, trim_blocks=True
)
# A code of the source, and a number of a customer: what may stand in a form.
CODE = re.compile(r"[0-9A-Za-z_]{1,32}")
CUSTOMER = re.compile(r"\d{1,18}")
SHOWN = 12
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
PRICE = 1.0


class ServerProblem(RuntimeError):
    """The model server does not answer, or refuses."""


class Shop:
    """The shop with its model server and its events."""

    def __init__(self, server_url: str, events: EventLog, client: httpx.AsyncClient | None = None) -> None:
        """Take the address of the model server; `client` is for tests."""
        self.client = client or httpx.AsyncClient(base_url=server_url, timeout=5.0, trust_env=False)
        self.events = events
        self.registry = CollectorRegistry()
        self.counted = Counter(
            "metalworks_shop_events",
            "What was shown, clicked and bought",
            ["kind", "model", "version"],
            registry=self.registry,
        )

    async def ask(self, path: str, **query: str | int) -> Any:
        """Ask the model server. ServerProblem if it does not answer with 200."""
        try:
            answer = await self.client.get(path, params=query)
        except httpx.HTTPError as problem:
            raise ServerProblem(f"the model server does not answer: {problem}") from None
        if answer.status_code != 200:
            raise ServerProblem(f"the model server answers {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def note(self, event: Event) -> None:
        """Keep an event and count it."""
        self.events.add(event)
        self.counted.labels(event.kind, event.model, event.version).inc()

    # Pages.

    async def customers(self, request: Request) -> Response:
        """Show customers to choose from."""
        found = await self.ask("/customers", count=30)
        return _page("customers.html", customers=found["customers"])

    async def customer(self, request: Request) -> Response:
        """Show a customer's history and what is recommended, and note what was shown."""
        name = request.path_params["name"]
        if not CUSTOMER.fullmatch(name):
            return _page("problem.html", 404, problem="A customer is a number.")
        history = await self.ask("/history", user=name)
        lists = []
        for task, title in (("new", "You may also like"), ("again", "Buy again")):
            answer = await self.ask("/recommend", user=name, task=task, count=SHOWN)
            lists.append({"title": title, "answer": answer})
            self.note(
                Event(
                    kind="shown",
                    at=time.time(),
                    customer=name,
                    items=[each["item"] for each in answer["items"]],
                    request=answer["request_id"],
                    model=answer["model_name"],
                    version=answer["model_version"],
                )
            )
        return _page("customer.html", name=name, history=history, lists=lists)

    async def act(self, request: Request) -> Response:
        """Take a click or a purchase of an item, and go back to the customer."""
        # Another site's page must not buy here with the visitor's login.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _page("problem.html", 403, problem="This form was sent by another site.")
        name, form = request.path_params["name"], await request.form()
        given = {
            key: str(form.get(key, "")) for key in ("kind", "item", "text", "request", "model", "version")
        }
        if (
            not CUSTOMER.fullmatch(name)
            or not CODE.fullmatch(given["item"])
            or given["kind"] not in ("clicked", "bought")
        ):
            return _page(
                "problem.html", 400, problem="A form needs a customer, an item, and clicked or bought."
            )
        if any(len(given[key]) > 128 for key in ("text", "request", "model", "version")):
            return _page("problem.html", 400, problem="A field of the form is too long.")
        bought = given["kind"] == "bought"
        self.note(
            Event(
                kind="bought" if bought else "clicked",
                at=time.time(),
                customer=name,
                items=[given["item"]],
                names=[given["text"] or given["item"]],
                request=given["request"],
                model=given["model"],
                version=given["version"],
                invoice=f"S{uuid.uuid4().hex[:12]}" if bought else "",
                price=PRICE if bought else 0.0,
            )
        )
        return RedirectResponse(f"{name}?{'bought' if bought else 'clicked'}={given['item']}", 303)

    # For the ingestion, Prometheus and Kubernetes.

    async def invoices(self, request: Request) -> Response:
        """Return the purchases of a day in the schema of the invoices."""
        if (day := _day(request)) is None:
            return PlainTextResponse("a day is written as 2011-01-31\n", 404)
        sink = io.BytesIO()
        csv.write_csv(invoices(self.events.read(day)), sink)
        return Response(sink.getvalue(), media_type="text/csv")

    async def showings(self, request: Request) -> Response:
        """Return all events of a day that can be read, one line of JSON each."""
        if (day := _day(request)) is None:
            return PlainTextResponse("a day is written as 2011-01-31\n", 404)
        content = msgspec.json.Encoder().encode_lines(
            [each for each in self.events.read(day) if isinstance(each, Event)]
        )
        return Response(content, media_type="application/x-ndjson")

    async def metrics(self, request: Request) -> Response:
        """Return the counters in Prometheus' text format."""
        return PlainTextResponse(generate_latest(self.registry))

    async def health(self, request: Request) -> Response:
        """Say that the process answers; the model server has probes of its own."""
        return PlainTextResponse("OK\n")


def _day(request: Request) -> dt.date | None:
    try:
        return dt.date.fromisoformat(request.path_params["day"])
    except ValueError:
        return None


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
    }
    return HTMLResponse(PAGES.get_template(template).render(**values), status, headers)


async def _unavailable(request: Request, problem: Exception) -> Response:
    log.warning("%s", problem)
    return _page("problem.html", 503, problem=f"Nothing can be shown now: {problem}.")


def make_app(shop: Shop) -> Starlette:
    """Return the application. All its links are relative, so that it works below any path."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await shop.client.aclose()

    return Starlette(
        routes=[
            Route("/", shop.customers),
            Route("/customers/{name}", shop.customer),
            Route("/customers/{name}", shop.act, methods=["POST"]),
            Route("/invoices/{day}.csv", shop.invoices),
            Route("/showings/{day}.jsonl", shop.showings),
            Route("/metrics", shop.metrics),
            Route("/healthz", shop.health),
        ],
        exception_handlers={ServerProblem: _unavailable},
        lifespan=lifespan,
    )
