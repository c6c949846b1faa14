"""Sizes of disk and memory that the inputs of several parts give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..common.sizes import budget_problem, mebibytes
from .platform import Platform


def unusable_sizes(platform: Platform, least: Mapping[str, int]) -> Iterator[str]:
    """Yield which of these inputs are no sizes, or less than each needs at the least, in MiB."""
    for name, mib in least.items():
        size = platform.values[name]
        if problem := budget_problem(size):
            yield f"{name}: {problem}"
        elif mebibytes(size) < mib:
            yield f"{name} is {size}: write {mib}Mi or more"
