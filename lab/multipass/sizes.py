"""multipass's sizes, read and printed as its src/utils/memory_size.cpp does.

It shares no code with the module, because the module is tested against it.
"""

from __future__ import annotations

import re

SIZE = re.compile(r"(?P<whole>\d+)(?:[.,](?P<part>\d+))?(?P<unit>[KMG](?:i?B)?|B)?", re.IGNORECASE)
POWERS = {"": 0, "B": 0, "K": 1, "M": 2, "G": 3}


def parse(text: str) -> int:
    """Return a size in bytes, or raise ValueError. A fraction needs a unit, because there is no half byte."""
    match = SIZE.fullmatch(text.strip())
    unit = (match["unit"] or "")[:1].upper() if match else ""
    if not match or (match["part"] and not POWERS[unit]):
        raise ValueError(f"{text} is not a valid memory size")
    return int(float(f"{match['whole']}.{match['part'] or 0}") * 1024 ** POWERS[unit])


def show(size: int) -> str:
    """Return a size (bytes) as text: in the largest unit that fits, with one decimal; or as whole bytes."""
    power = next((power for power in (3, 2, 1) if size >= 1024**power), 0)
    return f"{size / 1024**power:.1f}{' KMG'[power]}iB" if power else f"{size}B"
