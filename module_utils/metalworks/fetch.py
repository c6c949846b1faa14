"""Fetches what an artifact's makers publish, and keeps nothing that does not match its checksum."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .artifacts import Artifact, CatalogueError, Upstream
from .cache import CHUNK, Fingerprint, locked, remove_leftovers, sha256_of, staged_folder

Open = Callable[[str], IO[bytes]]
FETCHED = "fetched.json"


class FetchError(RuntimeError):
    """It could not be fetched or is not what it should be; the message says which."""


@dataclass(frozen=True)
class Fetched:
    """A file in the cache."""

    path: Path
    sha256: str
    changed: bool


def fetch(artifact: Artifact, arch: str, cache: Path, opener: Open) -> Fetched:
    """Return a published file from the cache, or fetch and verify it first."""
    what = artifact.published(arch)
    if not what.url:
        raise CatalogueError(f"{artifact.name} is a {artifact.kind}: it has no file to fetch")
    key = Fingerprint().text("upstream", repr(what)).hex
    folder = cache / "artifacts" / artifact.name / key
    with locked(cache / "locks" / f"{artifact.name}.lock"):
        found = _cached(folder)
        if found:
            return found
        remove_leftovers(folder.parent)
        with staged_folder(folder) as stage:
            _download(what, stage, opener)
    found = _cached(folder)
    if not found:
        raise FetchError(f"{folder} is gone again: is something else emptying the cache?")
    return Fetched(found.path, found.sha256, changed=True)


def _cached(folder: Path) -> Fetched | None:
    """Return what was fetched before, if it still is what it was."""
    try:
        told = json.loads((folder / FETCHED).read_text())
        if sha256_of(folder / told["file"]) == told["sha256"]:
            return Fetched(folder / told["file"], told["sha256"], changed=False)
    except FileNotFoundError:
        pass
    return None


def _download(what: Upstream, stage: Path, opener: Open) -> None:
    """Fetch into a stage, verify, and take out the one file that is wanted."""
    name = what.url.rpartition("/")[2]
    expected = what.sha256 or published_checksum(what, opener)
    path = stage / name
    with opener(what.url) as source, path.open("wb") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
    actual = sha256_of(path)
    if actual != expected:
        raise FetchError(
            f"{what.url} has the sha256 {actual}, and should have {expected}: nothing is "
            f"installed. A proxy may have answered in its place; look at what it sends."
        )
    if what.member:
        path = take_member(path, what.member)
    path.chmod(0o755)
    (stage / FETCHED).write_text(json.dumps({"file": path.name, "sha256": sha256_of(path)}) + "\n")


def published_checksum(what: Upstream, opener: Open) -> str:
    """Return the checksum that the makers publish for the file."""
    if not what.checksum_url:
        raise CatalogueError(
            f"{what.url} has neither sha256 nor checksum_url in artifacts.yml; "
            f"what cannot be verified is not installed"
        )
    with opener(what.checksum_url) as source:
        lines = source.read().decode().splitlines()
    name = what.url.rpartition("/")[2]
    for words in (line.split() for line in lines):
        if len(words) == 2 and words[1].lstrip("*") == name:
            return words[0]
    raise FetchError(f"{what.checksum_url} has no line for {name}")


def take_member(archive: Path, member: str) -> Path:
    """Take one file out of an archive and remove the rest."""
    target = archive.parent / member.rpartition("/")[2]
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(member)
        if stream is None:
            raise FetchError(f"{member} in {archive.name} is not a file")
        with target.open("wb") as out:
            while chunk := stream.read(CHUNK):
                out.write(chunk)
    archive.unlink()
    return target
