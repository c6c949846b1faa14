"""How much disk and memory the store of logs and its collectors may take."""

from __future__ import annotations

from ..common.sizes import share

# The store drops whole days, and never the last two, so the volume is larger than the budget.
BUDGET_PERCENT = 80
# The store's caches, and where Go's garbage collector becomes eager. What is left is for bursts: after 10 000
# lines per second the store had taken 149 MiB with 80 MiB of these, and 28 MiB at rest.
CACHES_PERCENT = 19
EAGER_PERCENT = 31


def budget(size: object) -> str:
    """Return how much of a volume the logs may take, as the store's flags have it."""
    return share(size, BUDGET_PERCENT)


def flag(size: object) -> str:
    """Return a size as the flags of VictoriaMetrics' programs have it."""
    return share(size, 100)


def memory(limit: object) -> dict[str, str]:
    """Return what a program of VictoriaMetrics is told about its container's limit of memory.

    Without that, it would take the machine's memory for its own: 60 % of it.
    """
    return {"caches": share(limit, CACHES_PERCENT), "eager": share(limit, EAGER_PERCENT)}
