"""Train the model of unusual lines, judge it, publish it."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from ..data.ingest import DayStore
from ..evaluate.alarms import AlarmDecision, decide
from ..models.anomalies import Anomalies
from ..models.artifact import load
from ..models.registry import open_registry
from ..settings import Settings
from . import anomalies
from .release import champion_of, release
from .run import SOURCES, NothingToLearn

log = logging.getLogger(__name__)


def digest(lines: pa.Table) -> str:
    """Return the SHA-256 of what the model sees of lines, in hexadecimal digits."""
    found = hashlib.sha256("\0".join(lines["stock_code"].to_pylist()).encode())
    for name, kind in (("quantity", "<i8"), ("unit_price", "<f8")):
        found.update(np.ascontiguousarray(lines[name].to_numpy(), kind).tobytes())
    return found.hexdigest()


def train(settings: Settings, promote: bool = True) -> tuple[str, AlarmDecision]:
    """Learn from all days, judge on the newest with what the days before taught, publish.

    Return the version and the decision. NothingToLearn if no day was ingested.
    """
    stores = [DayStore(settings.data_url, source) for source in SOURCES]
    days = sorted({day for store in stores for day in store.days()})
    if not days:
        raise NothingToLearn(f"{settings.data_url} has no day: ingest invoices first")
    first = days[-1] - dt.timedelta(settings.judged_days - 1)

    def lines(wanted: list[dt.date]) -> pa.Table:
        return pa.concat_tables(
            [store.lines(day for day in store.days() if day in set(wanted)) for store in stores]
        )

    before = lines([day for day in days if day < first])
    if not len(before):
        raise NothingToLearn(
            f"there is no line before {first}: ingest more days, or choose fewer judged_days"
        )
    whole = lines(days)
    registry = open_registry(settings.registry_url, settings.registry_token_file)
    champion = champion_of(settings, registry)
    with tempfile.TemporaryDirectory() as name:
        judged, folder = Path(name) / "judged", Path(name) / "model"
        anomalies.write(judged, before, str(first), digest(before))
        decision = decide(
            Anomalies(*load(judged)), lines([day for day in days if day >= first]), str(first), settings.seed
        )
        card = anomalies.write(folder, whole, str(days[-1]), digest(whole))
        if champion and (champion[1].data, champion[1].code) == (card.data, card.code):
            nothing = "Nothing is new: neither the data nor the code differ from the champion's."
            decision = msgspec.structs.replace(decision, promoted=False, reasons=[nothing, *decision.reasons])
        (folder / "decision.json").write_bytes(msgspec.json.format(msgspec.json.encode(decision)))
        metrics = {"found": decision.found, "alarms": decision.alarms}
        version = release(settings, registry, folder, champion, decision.promoted, decision.reasons,
                          {"judged": f"{first} to {days[-1]}"}, metrics, promote)  # fmt: skip
    log.info("version %s: %s", version, " ".join(decision.reasons))
    return version, decision
