"""Take over the days of a source that are not there yet."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from urllib.parse import parse_qsl

import msgspec

from ..settings import Settings, SettingsProblem
from . import generate
from .ingest import DayRefused, DayStore, Receipt
from .sources import Batch, SourceProblem, parse, read_day, read_days

log = logging.getLogger(__name__)
ONE_DAY = dt.timedelta(1)
# The address of the shop that does not exist; sizes of it may follow, as generated://?customers=400&items=200
GENERATED = "generated://"
# How far back it has invoices at the first run.
HISTORY = dt.timedelta(180)
# A day is looked at again for so long: files come late, a source is mended, and the shop's day goes on. For a
# day that is older, `--first` goes further back.
LOOK_BACK = dt.timedelta(31)


def batches(
    settings: Settings, first: dt.date | None, last: dt.date | None, taken: list[dt.date]
) -> Iterator[Batch | SourceProblem]:
    """Yield the days of the source, from `first` to `last`; for one that cannot be read, yield why.

    One file has its own first and last day. A source with a file for each day goes on after the days that are
    `taken`, whose last ones it looks at again, until today. SettingsProblem if something is missing.
    """
    url = settings.source_url
    if not url:
        raise SettingsProblem(
            "METALWORKS_MODEL_SOURCE_URL is missing: a file of invoices, an address with {day} in it, or "
            f"{GENERATED}"
        )
    if "{day}" not in url and not url.startswith(GENERATED):
        yield from read_days(url, first, last)
        return
    last = last or dt.datetime.now(dt.UTC).date()
    if url.startswith(GENERATED):
        yield from _generated(url, first, last, taken)
        return
    # What was before the first day that was taken over was not asked for.
    day = first or (max(taken[-1] - LOOK_BACK, taken[0]) if taken else last)
    if day > last:
        raise SettingsProblem(f"the first day, {day}, is after the last one, {last}")
    while day <= last:
        try:
            yield read_day(url, day)
        except SourceProblem as problem:
            yield problem
        day += ONE_DAY


def _generated(url: str, first: dt.date | None, last: dt.date, taken: list[dt.date]) -> Iterator[Batch]:
    """Yield the days of a generated shop that are not taken; it began on the first day that is.

    The same shop gives the same days, so none has to be looked at again.
    """
    begin = taken[0] if taken else first or last - HISTORY
    try:
        sizes = dict(parse_qsl(url.partition("?")[2], strict_parsing="?" in url))
        world = msgspec.convert({**sizes, "first": begin}, generate.World, strict=False)
    except ValueError as problem:
        raise SettingsProblem(
            f"METALWORKS_MODEL_SOURCE_URL is {url}, which describes no shop: {problem}"
        ) from None
    for each in generate.days(world, (last - begin).days + 1):
        if each.day not in taken:
            yield Batch(each.day, *parse(each.csv(), f"{url} of {each.day}"))


def ingest(
    settings: Settings, first: dt.date | None, last: dt.date | None
) -> tuple[list[Receipt], list[str]]:
    """Take over days, and return their receipts, and why others were not taken over.

    A day that is refused or cannot be read keeps no other out.
    """
    store = DayStore(settings.data_url, settings.source)
    receipts, refused = [], []
    for batch in batches(settings, first, last, store.days()):
        try:
            if isinstance(batch, SourceProblem):
                raise batch
            if batch.day is None:
                if batch.rows:
                    log.warning("%d rows have no day, and are in quarantine", batch.rows)
                if problem := store.take_undated(batch, settings.quarantine_bound):
                    refused.append(f"rows without a day: {problem}")
                continue
            outcome, receipt = store.take(batch, settings.quarantine_bound, settings.volume_bound)
        except (DayRefused, SourceProblem) as problem:
            refused.append(str(problem))
            log.error("not taken over: %s", problem)
            continue
        receipts.append(receipt)
        for warning in receipt.warnings:
            log.warning("%s: %s", batch.day, warning)
        bad = sum(receipt.quarantined.values())
        log.info(
            "%s: %s, %d rows, %d good, %d bad", batch.day, outcome.value, receipt.rows, receipt.accepted, bad
        )
    if refused:
        log.error("%d days were taken over, and these were not:\n%s", len(receipts), "\n".join(refused))
    return receipts, refused
