"""Beginnings of sentences that several checks have in common."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Return hosts as the beginning of a sentence: `host a`, or `hosts a, b`."""
    return f"host{'s' if len(names) > 1 else ''} {', '.join(names)}"
