"""What the shop showed, and what customers did then: one line of JSON for each, in a file for each day.

Purchases leave the shop in the schema of the invoices, so the ingestion takes them over as a second source.
What was shown leaves it as lines of JSON, for the hit rates of each model version.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa

from ..data.sources import COLUMNS

log = logging.getLogger(__name__)


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. `at` is in seconds since 1970; `items` are codes, the first one shown on top.

    `request`, `model` and `version` say which answer of the model server an item came from.
    """

    kind: Literal["shown", "clicked", "bought"]
    at: float
    customer: str
    items: list[str]
    request: str = ""
    model: str = ""
    version: str = ""
    names: list[str] = []
    invoice: str = ""
    quantity: int = 1
    price: float = 0.0

    @property
    def moment(self) -> dt.datetime:
        """When it was, in UTC."""
        return dt.datetime.fromtimestamp(self.at, dt.UTC)


class EventLog:
    """The files of events below a folder. One process writes."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, which is made."""
        self.folder = folder
        self.lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, day: dt.date) -> Path:
        return self.folder / f"{day}.jsonl"

    def add(self, event: Event) -> None:
        """Append an event, on the disk before this returns: a purchase is not lost when the machine stops."""
        line = msgspec.json.encode(event) + b"\n"
        with self.lock, self._path(event.moment.date()).open("a+b") as file:
            # Behind a line that a stop of the machine has torn, this one would not be a line of its own.
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def read(self, day: dt.date) -> Iterator[Event | bytes]:
        """Yield the events of a day; a line that cannot be read comes as its bytes.

        What stands behind the last end of a line may be written just now, and is left out.
        """
        try:
            lines = self._path(day).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Event)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("%s has a line that cannot be read: %r", self._path(day), line[:300])
                yield line


def invoices(events: Iterable[Event | bytes]) -> pa.Table:
    """Return purchases as lines of invoices, all as text, with the columns of the source.

    A line that cannot be read may have been a purchase: it becomes an invoice line with nothing but a
    description, which the ingestion counts and puts into quarantine.
    """
    rows = []
    for each in events:
        if isinstance(each, bytes):
            rows.append(["", "", each.decode(errors="replace"), *[""] * 5])
            continue
        if each.kind != "bought":
            continue
        for item, name in zip(each.items, each.names or each.items, strict=True):
            moment = f"{each.moment:%Y-%m-%d %H:%M:%S}"
            rows.append(
                [
                    each.invoice,
                    item,
                    name,
                    str(each.quantity),
                    moment,
                    repr(each.price),
                    each.customer,
                    "Shop",
                ]
            )
    columns = [pa.array([row[at] for row in rows], pa.string()) for at in range(len(COLUMNS))]
    return pa.table(columns, names=list(COLUMNS))
