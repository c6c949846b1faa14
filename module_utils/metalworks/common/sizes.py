"""Sizes as Kubernetes has them, of the volumes and the memory of parts.

Those of a user's server are the spawner's, which reads them in another way (jupyterhub/sizes.py).
"""

from __future__ import annotations

import re

MIB = 2**20
UNITS = {
    "": 1,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}
SIZE = re.compile(r"([0-9]+)([KMGT]i?)?\Z")
BUDGET = re.compile(r"[1-9][0-9]*[MGT]i\Z")


def size_bytes(text: object) -> int | None:
    """Return the bytes of a size of Kubernetes, or None."""
    found = SIZE.match(str(text))
    return int(found[1]) * UNITS[found[2] or ""] if found else None


def budget_problem(text: object) -> str | None:
    """Return why a text is no size for the store, and what to write instead, or None."""
    if isinstance(text, str) and BUDGET.match(text):
        return None
    return f"{text!r} is no whole number with Mi, Gi or Ti; write one like 20Gi"


def mebibytes(size: object) -> int:
    """Return a size in whole MiB; ValueError if it is none."""
    found = size_bytes(size)
    if found is None:
        raise ValueError(f"{size!r} is no size")
    return found // MIB


def share(size: object, percent: int) -> str:
    """Return a part of a size in whole MiB, as flags of Prometheus and VictoriaLogs have it."""
    return f"{mebibytes(size) * percent // 100}MiB"
