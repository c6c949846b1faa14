"""Read and check the catalogue (artifacts.yml), and look artifacts up by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..common.yaml_text import read_yaml
from .rules import entry_problems, merged, problems

CATALOGUE = "artifacts.yml"
WEB_ADDRESSES = ("url", "checksum_url")  # in these, the + of a version is written %2B
# Python's name of a system -> the name in published files.
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}


class CatalogueError(ValueError):
    """The catalogue or a question to it is wrong; the message says what to write instead."""


@dataclass(frozen=True)
class Upstream:
    """Where the makers publish an artifact, and what it is verified against. Unused fields are empty."""

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
        """Return the image's name for pods. If a digest is known, it decides, and the tag is for people."""
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
        """Return the version of this source (`upstream` or `build`); empty if it has none."""
        entry = self.build if source == "build" else self.upstream
        return str(entry.get("version", ""))

    def published(self, arch: str, system: str = "linux") -> Upstream:
        """Return what is published for an architecture and system, with all placeholders replaced.

        CatalogueError says that nothing is published, or nothing for this architecture.
        """
        if not self.upstream:
            raise CatalogueError(
                f"{self.name} is not published by anybody: it only exists with source=build "
                f"(metalworks_artifact_source: build)"
            )
        values = {key: _for_arch(self.name, key, value, arch) for key, value in self.upstream.items()}
        words = {"version": values["version"], "arch": arch, "os": system}
        return Upstream(**{key: _filled(key, text, words) for key, text in values.items()})


def _for_arch(name: str, key: str, value: Any, arch: str) -> str:
    """Return the value for an architecture; a value that is not a mapping counts for all of them."""
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
    """Return the artifacts by name, an inventory's entries merged over them.

    CatalogueError lists all faults.
    """
    content = read_yaml(path.read_text())
    entries = (content.get("artifacts") or {}) if isinstance(content, dict) else {}
    wrong = problems(entries, overrides or {})
    if wrong:
        raise CatalogueError("; ".join(wrong))
    return {name: parse_artifact(name, entry) for name, entry in merged(entries, overrides or {}).items()}


def parse_artifact(name: str, entry: dict[str, Any]) -> Artifact:
    """Return one entry as an Artifact; CatalogueError says what is wrong with it."""
    wrong = list(entry_problems(name, entry))
    if wrong:
        raise CatalogueError("; ".join(wrong))
    return Artifact(
        name, entry["kind"], entry["licence"], entry.get("upstream") or {}, entry.get("build") or {}
    )


def look_up(catalogue: dict[str, Artifact], name: str) -> Artifact:
    """Return an artifact by its name; CatalogueError lists the known names."""
    if name not in catalogue:
        raise CatalogueError(f"no artifact is called {name}; artifacts.yml knows {', '.join(catalogue)}")
    return catalogue[name]
