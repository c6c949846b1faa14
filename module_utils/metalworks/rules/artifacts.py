"""Rules for `metalworks_artifacts`, which is merged over the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from ..artifacts import rules as artifact_rules
from .platform import Platform


def artifact_overrides(platform: Platform) -> Iterator[str]:
    """Refuse overrides with which an artifact could not be fetched or verified."""
    yield from artifact_rules.problems(platform.entries, platform.values["metalworks_artifacts"])
