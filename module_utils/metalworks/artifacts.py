"""The catalogue of everything external (artifacts.yml): read, checked, and asked by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

CATALOGUE = "artifacts.yml"
KINDS = ("binary", "archive", "chart", "image", "docker", "part")
SOURCES = ("upstream", "bundle", "build")
ADDRESSES = ("url", "checksum_url")  # a + in a version is %2B there


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

    def published(self, arch: str) -> Upstream:
        """Return what is published for this architecture, with the addresses filled in."""
        if not self.upstream:
            raise CatalogueError(
                f"{self.name} is not published by anybody: it only exists with source=build "
                f"(metalworks_artifact_source: build)"
            )
        values = {key: _for_arch(self.name, key, value, arch) for key, value in self.upstream.items()}
        version = values["version"]
        filled = {
            key: text.replace("{version}", quote(version) if key in ADDRESSES else version).replace(
                "{arch}", arch
            )
            for key, text in values.items()
        }
        return Upstream(**filled)


def _for_arch(name: str, key: str, value: Any, arch: str) -> str:
    """Pick the value of an architecture where the catalogue lists one per architecture."""
    if not isinstance(value, dict):
        return str(value)
    if arch not in value:
        raise CatalogueError(f"{name}: no {key} for {arch}; there is one for {', '.join(sorted(value))}")
    return str(value[arch])


def find_catalogue(start: Path) -> Path:
    """Return the catalogue in this folder or the nearest one above it."""
    for folder in (start, *start.parents):
        if (folder / CATALOGUE).is_file():
            return folder / CATALOGUE
    raise CatalogueError(f"no {CATALOGUE} in {start} or any folder above it; set `catalogue` to its path")


def read_catalogue(path: Path) -> dict[str, Artifact]:
    """Read the catalogue and refuse an entry that does not say what it is."""
    content = yaml.safe_load(path.read_text())
    entries = content.get("artifacts", {}) if isinstance(content, dict) else {}
    return {name: parse_artifact(name, entry) for name, entry in entries.items()}


def parse_artifact(name: str, entry: dict[str, Any]) -> Artifact:
    """Turn one entry into an Artifact, or say what is wrong with it."""
    unknown = sorted(set(entry) - {"kind", "licence", "upstream", "build"})
    if unknown:
        raise CatalogueError(f"{name}: unknown key {unknown[0]}; known are kind, licence, upstream, build")
    if entry.get("kind") not in KINDS:
        raise CatalogueError(f"{name}: kind is {entry.get('kind')!r}; write one of {', '.join(KINDS)}")
    if not entry.get("licence"):
        raise CatalogueError(f"{name}: licence is missing; write its SPDX name")
    if not entry.get("upstream") and not entry.get("build"):
        raise CatalogueError(f"{name}: neither upstream nor build says where it comes from")
    return Artifact(
        name, entry["kind"], entry["licence"], entry.get("upstream") or {}, entry.get("build") or {}
    )


def look_up(catalogue: dict[str, Artifact], name: str) -> Artifact:
    """Return an artifact, or say which names there are."""
    if name not in catalogue:
        raise CatalogueError(f"no artifact is called {name}; artifacts.yml knows {', '.join(catalogue)}")
    return catalogue[name]
