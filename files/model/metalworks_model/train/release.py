"""The end of every training: who the champion is, and how a version is published and takes its place."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..models.artifact import Card, read_card
from ..models.registry import Registry, RegistryProblem, found_version
from ..settings import Settings

Champion = tuple[str, Card]


def champion_of(settings: Settings, registry: Registry) -> Champion | None:
    """Return the champion's version and card; None if there is no champion."""
    if not (version := found_version(registry, settings.model, settings.champion)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        registry.fetch(settings.model, version, Path(folder) / "files")
        return version, read_card(Path(folder) / "files")


def release(
    settings: Settings, registry: Registry, folder: Path, champion: Champion | None, promoted: bool,
    reasons: list[str], tags: Mapping[str, str], metrics: Mapping[str, float], promote: bool,
) -> str:  # fmt: skip
    """Publish the files of a version with what it was made of, and return its number.

    If it is promoted, the champion's alias points at it; with `promote` false no alias moves. RegistryProblem
    if somebody moved the alias from the champion with which the version was compared.
    """
    card, before = read_card(folder), champion[0] if champion else ""
    common = {
        "promoted": str(promoted).lower(),
        "champion_before": before,
        "data": card.data,
        "data_until": card.data_until,
        "code": card.code,
        "why": " ".join(reasons)[:4000],
    }
    version = registry.publish(settings.model, folder, common | dict(tags), metrics)
    if promoted and promote:
        if (now := found_version(registry, settings.model, settings.champion)) != before:
            raise RegistryProblem(
                f"version {version} is not promoted: it was compared with champion {before or 'none'}, and "
                f"now the champion is {now or 'none'}"
            )
        registry.point(settings.model, settings.champion, version)
    return version
