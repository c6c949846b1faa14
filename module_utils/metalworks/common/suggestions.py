"""What to say about a word that is not among the known ones: the known word that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[object], otherwise: str = "") -> str:
    """Return `; did you mean X?` to end a sentence with, where X is the known word nearest to `word`.

    Capitals do not count. Where no known word is near, the answer is `otherwise`, so that a sentence can
    list what there is instead.
    """
    near = nearest(word, known, 1)
    return f"; did you mean {near[0]}?" if near else otherwise


def nearest(word: object, known: Iterable[object], count: int, likeness: float = 0.6) -> list[str]:
    """Return at most `count` of the known words that are like `word` (from 0 to 1), the nearest first."""
    spelled: dict[str, str] = {}
    for each in known:
        spelled.setdefault(str(each).lower(), str(each))
    return [spelled[low] for low in difflib.get_close_matches(str(word).lower(), spelled, count, likeness)]
