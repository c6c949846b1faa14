"""The dashboards as one page of HTML that needs nothing else: it can be mailed, and opened anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

# A line: what people read, and its points as (seconds since 1970, value), oldest first.
Line = tuple[str, list[tuple[float, float]]]
Panel = tuple[Mapping[str, Any], Sequence[Line]]

WIDTH, HEIGHT = 560, 150  # of a drawing, in pixels
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
MOST_LINES = len(COLOURS)
BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
KIB = 1024
FRESH_SECONDS = 300  # Prometheus itself takes an older value for none
STYLE = """body{font:14px system-ui,sans-serif;margin:2em auto;max-width:1200px;color:#222}
h2{margin:2em 0 .2em}p{margin:.2em 0 1em;color:#555}.board{display:flex;flex-wrap:wrap;gap:16px}
figure{margin:0;padding:12px;border:1px solid #ddd;border-radius:6px;max-width:100%;box-sizing:border-box}
svg{max-width:100%;height:auto}figcaption{font-weight:600}
.stat{font-size:2em;min-width:150px}
ul{list-style:none;margin:.4em 0 0;padding:0;font-size:12px}.none{color:#888}"""


def page(title: str, now: float, boards: Iterable[tuple[Mapping[str, Any], Sequence[Panel]]]) -> str:
    """Return the page with all boards, each with its panels and their lines."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = "".join(
        f"<h2>{escape(board['title'])}</h2><p>{escape(board['description'])}</p>"
        f'<div class="board">{"".join(_figure(panel, lines, now) for panel, lines in panels)}</div>'
        for board, panels in boards
    )
    about = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{about}<title>{escape(title)}</title><style>{STYLE}</style>"
    above = f"<h1>{escape(title)}</h1><p>{at}</p>"
    return f"<!DOCTYPE html><html><head>{head}</head><body>{above}{body}</body></html>\n"


def legend(template: str, labels: Mapping[str, str]) -> str:
    """Return a line's name: Grafana's template with the labels of the series."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), template)


def shown(value: float, unit: str) -> str:
    """Return a number as people read it, in Grafana's name of a unit."""
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit in ("bytes", "Bps"):
        step = 0
        while abs(value) >= KIB and step < len(BYTES) - 1:
            value, step = value / KIB, step + 1
        return f"{value:.4g} {BYTES[step]}" + ("/s" if unit == "Bps" else "")
    return f"{value:.4g}" + {"s": " s", "reqps": "/s"}.get(unit, "")


def alive(lines: Sequence[Line], now: float) -> bool:
    """Tell whether any line comes up to now."""
    return any(points and points[-1][0] >= now - FRESH_SECONDS for _, points in lines)


def _figure(panel: Mapping[str, Any], lines: Sequence[Line], now: float) -> str:
    unit = panel.get("unit", "short")
    drawn = [line for line in lines if line[1]]
    caption = f"<figcaption>{escape(panel['title'])}</figcaption>"
    if not drawn:
        reason = panel.get("may_be_empty") or "No data: is its source there?"
        return f'<figure>{caption}<div class="none">{escape(reason)}</div></figure>'
    if panel.get("kind") == "stat":
        if not alive(drawn, now):
            last = datetime.fromtimestamp(max(points[-1][0] for _, points in drawn), UTC)
            return f'<figure>{caption}<div class="none">No data since {last:%H:%M} UTC.</div></figure>'
        return f'<figure>{caption}<div class="stat">{escape(shown(drawn[0][1][-1][1], unit))}</div></figure>'
    # The lines that are highest at the end are drawn; there is no room for all.
    drawn = sorted(drawn, key=lambda line: -line[1][-1][1])
    rest = f"<li>and {len(drawn) - MOST_LINES} more</li>" if len(drawn) > MOST_LINES else ""
    named = "".join(
        f'<li><span style="color:{colour}">&#9632;</span> '
        f"{escape(name)}: {escape(shown(points[-1][1], unit))}</li>"
        for colour, (name, points) in zip(COLOURS, drawn, strict=False)
    )
    return f"<figure>{caption}{_drawing(drawn[:MOST_LINES], unit)}<ul>{named}{rest}</ul></figure>"


def _drawing(lines: Sequence[Line], unit: str) -> str:
    times = [at for _, points in lines for at, _ in points]
    values = [value for _, points in lines for _, value in points]
    low, high = min(0.0, *values), max(values)
    first = min(times)
    width, height = max(times) - first or 1, high - low or 1

    def place(at: float, value: float) -> str:
        return f"{(at - first) / width * WIDTH:.1f},{HEIGHT - (value - low) / height * HEIGHT:.1f}"

    drawn = "".join(
        f'<polyline fill="none" stroke="{colour}" points="{" ".join(place(*point) for point in points)}"/>'
        for colour, (_, points) in zip(COLOURS, lines, strict=False)
    )
    top = f'<text x="2" y="11" font-size="11" fill="#888">{escape(shown(high, unit))}</text>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">{drawn}{top}</svg>'
