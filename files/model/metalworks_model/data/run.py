"""Take over the days of a source that are not there yet."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator

from ..settings import Settings, SettingsProblem
from .ingest import DayRefused, DayStore, Receipt
from .sources import Batch, read_day, read_days

log = logging.getLogger(__name__)
ONE_DAY = dt.timedelta(1)


def batches(settings: Settings, first: dt.date | None, last: dt.date | None) -> Iterator[Batch]:
    """Yield the days of the source, from `first` to `last`.

    A source of one file for each day needs both; one file has its own first and last day. SettingsProblem if
    something is missing.
    """
    url = settings.source_url
    if not url:
        raise SettingsProblem(
            "METALWORKS_MODEL_SOURCE_URL is missing: a file of invoices, or an address with {day} in it"
        )
    if "{day}" not in url:
        yield from read_days(url, first, last)
        return
    if first is None or last is None:
        raise SettingsProblem(
            "a source with {day} in its address needs the first and the last day: --first, --last"
        )
    if first > last:
        raise SettingsProblem(f"the first day, {first}, is after the last one, {last}")
    day = first
    while day <= last:
        yield read_day(url, day)
        day += ONE_DAY


def ingest(
    settings: Settings, first: dt.date | None, last: dt.date | None
) -> tuple[list[Receipt], list[str]]:
    """Take over days, and return their receipts and the refusals. A refused day does not keep others out."""
    store = DayStore(settings.data_url, settings.source)
    receipts, refused = [], []
    for batch in batches(settings, first, last):
        try:
            outcome, receipt = store.take(batch, settings.quarantine_bound, settings.volume_bound)
        except DayRefused as problem:
            refused.append(str(problem))
            log.error("refused: %s", problem)
            continue
        receipts.append(receipt)
        for warning in receipt.warnings:
            log.warning("%s: %s", batch.day, warning)
        bad = sum(receipt.quarantined.values())
        log.info(
            "%s: %s, %d rows, %d good, %d bad", batch.day, outcome.value, receipt.rows, receipt.accepted, bad
        )
    return receipts, refused
