"""What the shop showed, and what customers did then: one line of JSON for each, in a file for each day.

Purchases leave the shop in the schema of the invoices, so the ingestion takes them over as a second source.
What was shown leaves it as lines of JSON, for the hit rates of each model version.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa

from ..data.sources import COLUMNS


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
        with self.lock, self._path(event.moment.date()).open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def read(self, day: dt.date) -> Iterator[Event]:
        """Yield the events of a day. A line that was not written to its end is left out."""
        try:
            lines = self._path(day).read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return
        for line in lines:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=Event)


def invoices(events: Iterator[Event]) -> pa.Table:
    """Return purchases as lines of invoices, all as text, with the columns of the source."""
    rows = []
    for each in events:
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
