"""The catalogue of everything external (artifacts.yml): read, checked, and asked by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from .rules import entry_problems, merged, problems

CATALOGUE = "artifacts.yml"
WEB_ADDRESSES = ("url", "checksum_url")  # a + in a version is %2B there
# What makers call a system, by what Python calls it.
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}


class CatalogueError(ValueError):
    """The catalogue, or a question to it, is wrong; the message says what to write instead."""


@dataclass(frozen=True)
class Upstream:
    """What the makers of an artifact publish, and what it is verified against."""

    version: str
    url: str = ""
    checksum_url: str = ""
    sha256: str = ""
    member: str = ""
    reference: str = ""
    digest: str = ""
    repository: str = ""
    chart: str = ""

    @property
    def image(self) -> str:
        """The image's name for pods: the tag is for people, the digest (where it is known) binds."""
        return f"{self.reference}:{self.version}" + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True)
class Artifact:
    """One entry of the catalogue."""

    name: str
    kind: str
    licence: str
    upstream: dict[str, Any] = field(default_factory=dict)
    build: dict[str, str] = field(default_factory=dict)

    def version(self, source: str) -> str:
        """Return the version that this source gives."""
        entry = self.build if source == "build" else self.upstream
        return str(entry.get("version", ""))

    def published(self, arch: str, system: str = "linux") -> Upstream:
        """Return what is published for this architecture and system, with the addresses filled in."""
        if not self.upstream:
            raise CatalogueError(
                f"{self.name} is not published by anybody: it only exists with source=build "
                f"(metalworks_artifact_source: build)"
            )
        values = {key: _for_arch(self.name, key, value, arch) for key, value in self.upstream.items()}
        words = {"version": values["version"], "arch": arch, "os": system}
        return Upstream(**{key: _filled(key, text, words) for key, text in values.items()})


def _for_arch(name: str, key: str, value: Any, arch: str) -> str:
    """Pick the value of an architecture where the catalogue lists one per architecture."""
    if not isinstance(value, dict):
        return str(value)
    if arch not in value:
        raise CatalogueError(f"{name}: no {key} for {arch}; there is one for {', '.join(sorted(value))}")
    return str(value[arch])


def _filled(key: str, text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace("{" + word + "}", quote(value) if key in WEB_ADDRESSES else value)
    return text


def find_catalogue(start: Path) -> Path:
    """Return the catalogue in this folder or the nearest one above it."""
    for folder in (start, *start.parents):
        if (folder / CATALOGUE).is_file():
            return folder / CATALOGUE
    raise CatalogueError(f"no {CATALOGUE} in {start} or any folder above it; set `catalogue` to its path")


def read_catalogue(path: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Artifact]:
    """Read the catalogue, with an inventory's entries over it; refuse what does not say what it is."""
    content = yaml.safe_load(path.read_text())
    entries = (content.get("artifacts") or {}) if isinstance(content, dict) else {}
    wrong = problems(entries, overrides or {})
    if wrong:
        raise CatalogueError("; ".join(wrong))
    return {name: parse_artifact(name, entry) for name, entry in merged(entries, overrides or {}).items()}


def parse_artifact(name: str, entry: dict[str, Any]) -> Artifact:
    """Turn one entry into an Artifact, or say what is wrong with it."""
    wrong = list(entry_problems(name, entry))
    if wrong:
        raise CatalogueError("; ".join(wrong))
    return Artifact(
        name, entry["kind"], entry["licence"], entry.get("upstream") or {}, entry.get("build") or {}
    )


def look_up(catalogue: dict[str, Artifact], name: str) -> Artifact:
    """Return an artifact, or say which names there are."""
    if name not in catalogue:
        raise CatalogueError(f"no artifact is called {name}; artifacts.yml knows {', '.join(catalogue)}")
    return catalogue[name]
