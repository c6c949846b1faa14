"""Ask Prometheus for what it has measured."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from ..kubernetes.forward import PodApi
from .boards import plain
from .report import Line, legend

POINTS = 180  # of a line


class Prometheus(PodApi):
    """A client of Prometheus."""

    selector, port = "app.kubernetes.io/name=prometheus", 9090
    whose = "Prometheus's"
    seconds = 60

    def lines(self, panel: Mapping[str, Any], start: float, end: float) -> list[Line]:
        """Return the lines of a panel between two times, in seconds since 1970."""
        step = max(15, int((end - start) / POINTS))
        found: list[Line] = []
        for query in panel["queries"]:
            asked = plain(query["expr"], f"{4 * step}s")
            answer = self.request("GET", "/api/v1/query_range", query=asked, start=start, end=end, step=step)
            for series in answer["data"]["result"]:
                name = legend(query.get("legend", panel["title"]), series["metric"])
                points = [(float(at), float(value)) for at, value in series["values"]]
                # A quotient of nothing is no number, or infinite.
                found.append((name, [point for point in points if isfinite(point[1])]))
        return found
