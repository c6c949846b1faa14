"""How much disk and memory the store of logs and its collectors may take."""

from __future__ import annotations

from ..object_store.fit import size_bytes

MIB = 2**20
# The store drops whole days, and never the last two, so the volume is larger than the budget.
BUDGET_PERCENT = 80
# The store's caches, and where Go's garbage collector becomes eager. What is left is for bursts: after 10 000
# lines per second the store had taken 149 MiB with 80 MiB of these, and 28 MiB at rest.
CACHES_PERCENT = 19
EAGER_PERCENT = 31


def mebibytes(size: object) -> int:
    """Return a size of Kubernetes in whole MiB; ValueError if it is none."""
    found = size_bytes(size)
    if found is None:
        raise ValueError(f"{size!r} is no size")
    return found // MIB


def budget(size: object) -> str:
    """Return how much of a volume the logs may take, as the store's flags have it."""
    return f"{mebibytes(size) * BUDGET_PERCENT // 100}MiB"


def flag(size: object) -> str:
    """Return a size as the flags of VictoriaMetrics' programs have it."""
    return f"{mebibytes(size)}MiB"


def memory(limit: object) -> dict[str, str]:
    """Return what a program of VictoriaMetrics is told about its container's limit of memory.

    Without that, it would take the machine's memory for its own: 60 % of it.
    """
    size = mebibytes(limit)
    return {"caches": f"{size * CACHES_PERCENT // 100}MiB", "eager": f"{size * EAGER_PERCENT // 100}MiB"}
