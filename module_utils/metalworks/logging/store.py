"""Ask the store of logs: lines as they are printed, newest last."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.json_api import ApiError as ApiError
from ..kubernetes.forward import PodApi
from .search import CONTAINER, FIELDS, NAMESPACE, NODE, POD, UNIT, Search, logsql

# A collector looks at a silent pod's file every 10 s at the longest, and the store's own delay comes on top.
LATENESS_SECONDS = 60
# The control characters of C0 and C1, and DEL. A tab does no harm.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")}


@dataclass(frozen=True)
class Line:
    """One line: when it was written (RFC 3339), where, and what it says."""

    time: str
    source: str
    level: str
    text: str

    @property
    def order(self) -> tuple[str, str]:
        """Return what lines are sorted by: the store leaves zeros at the end of fractions out."""
        return self.time[:19], self.time[19:].rstrip("Z")

    def __str__(self) -> str:
        """Return it as it is printed.

        Whoever writes a log may not command the reader's terminal: control characters are shown as escapes.
        """
        parts = (self.time, self.source, self.level, self.text)
        return "  ".join(part for part in parts if part).translate(CONTROLS)


class LogStore(PodApi):
    """A client of VictoriaLogs."""

    selector, port = "app.kubernetes.io/name=victoria-logs-single", 9428
    whose = "VictoriaLogs's"
    seconds = 60

    def lines(self, search: Search, seconds: int) -> list[Line]:
        """Return the newest lines of the last seconds, as many as the search wants, newest last."""
        start = f"{time.time() - seconds:.3f}"
        found: list[Mapping[str, str]] = self.request(
            "GET", "/select/logsql/query", query=logsql(search), start=start, limit=search.limit
        )
        return sorted((as_line(entry) for entry in found), key=lambda line: line.order)

    def _parse(self, text: str, content_type: str) -> Any:
        # A text may hold what splitlines() takes for the end of a line as well, such as U+0085 and U+2028.
        return [json.loads(line) for line in text.split("\n") if line]


def as_line(entry: Mapping[str, str]) -> Line:
    """Return a line from what the store knows of it. Of answers that are counted, all fields are the text."""
    if "_msg" not in entry:
        text = " ".join(f"{name}={value}" for name, value in entry.items() if name != "_time")
        return Line(entry.get("_time", ""), "", "", text)
    pod = "/".join(filter(None, (entry.get(name) for name in (NAMESPACE, POD, CONTAINER))))
    node = " ".join(filter(None, (entry.get(name) for name in (NODE, UNIT))))
    level = next(filter(None, (entry.get(name) for name in FIELDS)), "")
    return Line(entry.get("_time", ""), pod or node, level, entry["_msg"])


def new_lines(found: Iterable[Line], seen: set[Line]) -> list[Line]:
    """Return the lines that were not seen, and remember all that were found, and no others."""
    found = list(found)
    new = [line for line in dict.fromkeys(found) if line not in seen]
    seen.clear()
    seen.update(found)
    return new
