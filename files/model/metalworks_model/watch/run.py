"""Look at data, answers and models again and again, and show what is found to Prometheus."""

from __future__ import annotations

import datetime as dt
import logging
import signal
import threading
import time
from typing import Any

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from ..data.ingest import DayStore
from ..data.objects import write
from ..data.prepare import clean
from ..models.registry import NotThere, found_version, open_registry
from ..settings import Settings
from . import drift, online, trigger
from .canary import Canary

log = logging.getLogger(__name__)
SOURCES = ("invoices", "shop")


class Series:
    """The gauges. Times are in seconds since 1970, so that an age is a subtraction in a rule."""

    def __init__(self) -> None:
        """Make them in a registry of their own."""
        self.registry = CollectorRegistry()

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"metalworks_model_{name}", text, labels, registry=self.registry)

        self.psi = gauge("drift_psi", "Population stability index of late days", ("input",))
        self.item_mix = gauge("item_mix_js_distance", "Jensen-Shannon distance of the item mix of late days")
        self.new_items = gauge("new_item_ratio", "Share of late lines with an item that was not sold before")
        self.unknown = gauge("unknown_user_ratio", "Share of late lines of customers who did not buy before")
        self.largest = gauge("drift_largest", "The largest index of the inputs that the model uses")
        self.rows = gauge("drift_rows", "Late lines that drift was measured on")
        self.bound = gauge("drift_bound", "The index from which on inputs count as drifted")
        self.rows_needed = gauge("drift_rows_needed", "With fewer late lines, drift says nothing")
        self.hit_rate = gauge(
            "online_hit_rate", "Share of answers with an item that was bought", ("model", "version")
        )
        self.hit_low = gauge("online_hit_rate_low", "Lower bound of its 95 % interval", ("model", "version"))
        self.hit_high = gauge(
            "online_hit_rate_high", "Upper bound of its 95 % interval", ("model", "version")
        )
        self.shown = gauge("online_shown", "Answers that were shown", ("model", "version"))
        self.data_until = gauge("data_until_timestamp_seconds", "The newest day of each source", ("source",))
        self.quarantined = gauge("quarantined_rows", "Bad rows of the newest day", ("source",))
        self.refused = gauge("watch_failures", "Looks that failed since the start")
        self.looked = gauge("watch_looked_timestamp_seconds", "When the last look ended well")
        self.retraining = gauge(
            "retraining_asked_timestamp_seconds", "When drift asked for a retraining last"
        )
        self.model_until = gauge(
            "model_data_until_timestamp_seconds",
            "The newest day that a version learnt from",
            ("alias", "version"),
        )
        self.train_ndcg = gauge("train_ndcg", "NDCG@20 when it was trained", ("task", "version"))
        self.canary_share = gauge("canary_share", "Share of customers whom a candidate answers", ("version",))
        self.canary_answers = gauge("canary_answers", "Answers since a canary began", ("arm", "version"))
        self.canary_errors = gauge("canary_errors", "Those of them that are errors", ("arm", "version"))
        self.canary_low = gauge("canary_worse_low", "By how much a candidate is worse at least", ("measure",))
        self.canary_high = gauge("canary_worse_high", "By how much it is worse at most", ("measure",))
        self.canary_margin = gauge("canary_margin", "By how much it may be worse", ("measure",))
        self.canary_due = gauge(
            "canary_due_timestamp_seconds", "When a canary should have been decided", ("version",)
        )
        self.canary_decided = gauge(
            "canary_decided_timestamp_seconds", "When the last canary was decided", ("version", "decision")
        )


class Watch:
    """One look after the other."""

    def __init__(self, settings: Settings, series: Series, start: Any = trigger.start_job) -> None:
        """Take what starts a retraining; nothing is read yet."""
        self.settings, self.series, self.start = settings, series, start
        self.files, root = fsspec.core.url_to_fs(settings.data_url)
        self.path = f"{root.rstrip('/')}/watch/{settings.model}.json"
        self.canary = Canary(settings, series)
        self.learnt: set[tuple[str, dt.date]] = set()
        """The days, by source, whose customers and items are in `known`."""
        self.known: dict[str, set[str]] = {"customer": set(), "stock_code": set()}
        series.bound.set(settings.drift_bound)
        series.rows_needed.set(settings.drift_rows)

    def state(self) -> trigger.State:
        """Return what was remembered; nothing at the first time."""
        try:
            return msgspec.json.decode(self.files.cat_file(self.path), type=trigger.State)
        except (FileNotFoundError, msgspec.DecodeError):
            return trigger.State()

    def try_to_look(self) -> None:
        """Look once. Whatever goes wrong is logged and counted: stores, shop and registry come back."""
        now = time.time()
        # A bad candidate is taken back also while there is no drift to be seen.
        for look in (self.canary.look, self.look):
            try:
                if said := look(now):
                    log.info("%s", said)
            except Exception as problem:  # the libraries of stores and of HTTP have exceptions of their own
                self.series.refused.inc()
                log.warning("this look failed: %s: %s", type(problem).__name__, problem)

    def look(self, now: float) -> str:
        """Look once; return why a retraining was asked for or not."""
        said = self._drift(now)
        self._online(now)
        self._models()
        self.series.looked.set(now)
        return said

    def _lines(self, first: dt.date, last: dt.date) -> pa.Table:
        parts = []
        for source in SOURCES:
            store = DayStore(self.settings.data_url, source)
            parts.append(clean(store.lines(each for each in store.days() if first <= each <= last)))
        return pa.concat_tables(parts)

    def _drift(self, now: float) -> str:
        its, series = self.settings, self.series
        last: dt.date | None = None
        for source in SOURCES:
            store = DayStore(its.data_url, source)
            if days := store.days():
                series.data_until.labels(source).set(_begin(days[-1]))
                receipt = store.receipt(days[-1])
                series.quarantined.labels(source).set(sum(receipt.quarantined.values()) if receipt else 0)
                last = max(last, days[-1]) if last else days[-1]
        if last is None:
            return "There are no days yet."
        begin = last - dt.timedelta(its.recent_days - 1)
        recent = self._lines(begin, last)
        reference = self._lines(begin - dt.timedelta(its.reference_days), begin - dt.timedelta(1))
        if not len(recent) or not len(reference):
            return "There are too few days to compare."
        found = drift.measure(reference, recent)
        for name, value in found.psi.items():
            series.psi.labels(name).set(value)
        series.item_mix.set(found.item_mix)
        self._learn(begin)
        series.new_items.set(drift.unknown(recent["stock_code"], self.known["stock_code"]))
        series.unknown.set(drift.unknown(recent["customer"], self.known["customer"]))
        largest = found.largest(its.kind)
        series.largest.set(largest)
        series.rows.set(found.rows)
        registry = open_registry(its.registry_url, its.registry_token_file)
        if not found_version(registry, its.model, its.champion):
            # Days come quickly while a history is ingested, and the training after it learns from all.
            return "There is no champion yet, so nothing is retrained."
        limits = trigger.Limits(its.drift_bound, its.drift_rows, its.cool_down)
        before = self.state()
        after, retrain, said = trigger.decide(before, str(last), largest, found.rows, limits, now)
        # Written first: a store that takes no writes must not end the cool-down.
        if after != before:
            write(self.files, self.path, msgspec.json.encode(after))
        if retrain and its.retrain_cronjob:
            try:
                said += f" Job {self.start(its.retrain_cronjob, said)}."
            except Exception:
                # The next look asks again.
                write(self.files, self.path, msgspec.json.encode(before))
                raise
        series.retraining.set(after.asked)
        return said

    def _learn(self, end: dt.date) -> None:
        """Add the customers and items of the days before `end` to those that are known."""
        for source in SOURCES:
            store = DayStore(self.settings.data_url, source)
            days = {day for day in store.days() if day < end and (source, day) not in self.learnt}
            lines = clean(store.lines(sorted(days)))
            for name, known in self.known.items():
                known.update(pc.unique(lines[name]).to_pylist())
            self.learnt |= {(source, day) for day in days}

    def _online(self, now: float) -> None:
        if not self.settings.showings_url:
            return
        today = dt.datetime.fromtimestamp(now, dt.UTC).date()
        first = today - dt.timedelta(self.settings.recent_days)
        events = online.read_events(self.settings.showings_url, first, today)
        series = self.series
        # A version that was not shown of late has no rate.
        for each in (series.hit_rate, series.hit_low, series.hit_high, series.shown):
            each.clear()
        for (model, version), found in online.hit_rates(events).items():
            low, high = found.interval()
            series.hit_rate.labels(model, version).set(found.value)
            series.hit_low.labels(model, version).set(low)
            series.hit_high.labels(model, version).set(high)
            series.shown.labels(model, version).set(found.of)

    def _models(self) -> None:
        its = self.settings
        registry = open_registry(its.registry_url, its.registry_token_file)
        self.series.train_ndcg.clear()
        self.series.model_until.clear()
        for alias in (its.champion, its.candidate):
            try:
                version = registry.version_of(its.model, alias)
                tags = registry.tags(its.model, version)
            except NotThere:
                continue
            if until := tags.get("data_until"):
                self.series.model_until.labels(alias, version).set(_begin(dt.date.fromisoformat(until)))
            for task in ("new", "again"):
                if value := tags.get(f"ndcg.{task}"):
                    self.series.train_ndcg.labels(task, version).set(float(value))


def _begin(day: dt.date) -> float:
    """Return when a day begins, in seconds since 1970."""
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()


def main(settings: Settings) -> int:
    """Look until SIGTERM."""
    series = Series()
    start_http_server(settings.watch_port, settings.host or "::", series.registry)
    watch, ended = Watch(settings, series), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.is_set():
        watch.try_to_look()
        ended.wait(settings.watch_every)
    return 0
