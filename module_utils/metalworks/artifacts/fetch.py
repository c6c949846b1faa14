"""Fetch published artifacts. Nothing is kept that does not match its checksum."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit

import yaml

from ..common.files import CHUNK, sha256_of
from ..common.suggestions import nearest
from ..common.yaml_text import read_yaml
from .cache import Fingerprint, locked, remove_leftovers, staged_folder
from .catalogue import Artifact, CatalogueError, Upstream
from .rules import SHA256
from .web import NotFoundError, Web, WebError

FETCHED = "fetched.json"
PAGE = (b"<!doctype html", b"<html")


class FetchError(RuntimeError):
    """An artifact could not be fetched, or is not what was published; the message says which."""


@dataclass(frozen=True)
class Fetched:
    """A verified file in the cache; `changed` says whether it was fetched just now."""

    path: Path
    sha256: str
    changed: bool


def fetch(artifact: Artifact, published: Upstream, cache: Path, web: Web) -> Fetched:
    """Return a published file or chart from the cache; fetch and verify it if it is not there."""
    if not published.url and not published.repository:
        raise CatalogueError(f"{artifact.name} is a {artifact.kind}: it has no file to fetch")
    key = Fingerprint().text("upstream", repr(published)).hex
    folder = cache / "artifacts" / artifact.name / key
    with locked(cache / "locks" / f"{artifact.name}.lock"):
        found = _cached(folder)
        if found:
            return found
        remove_leftovers(folder.parent)
        with staged_folder(folder) as stage:
            _fetch_into(artifact, published, stage, web)
    found = _cached(folder)
    if not found:
        raise FetchError(f"{folder} is gone again: is something else emptying the cache?")
    return Fetched(found.path, found.sha256, changed=True)


def _cached(folder: Path) -> Fetched | None:
    """Return the file that was fetched before, if it still has the same checksum."""
    try:
        stored = json.loads((folder / FETCHED).read_text())
        if sha256_of(folder / stored["file"]) == stored["sha256"]:
            return Fetched(folder / stored["file"], stored["sha256"], changed=False)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # missing or damaged: a power cut may leave an empty file
    return None


def _fetch_into(artifact: Artifact, published: Upstream, stage: Path, web: Web) -> None:
    """Fetch into a temporary folder; errors begin with the artifact's name and version."""
    try:
        path = _download(published, stage, web)
    except NotFoundError as error:
        raise FetchError(
            f"{artifact.name} {published.version} is not there: {error}. Is it a version that was published? "
            f"Another one: metalworks_artifacts: {{{artifact.name}: {{upstream: {{version: ...}}}}}}"
        ) from error
    except WebError as error:
        raise FetchError(
            f"{artifact.name} {published.version} cannot be fetched: {error}. Without internet, name a "
            f"mirror in metalworks_artifacts"
        ) from error
    except FetchError as error:
        raise FetchError(f"{artifact.name} {published.version}: {error}") from error
    path.chmod(0o755 if artifact.kind == "binary" else 0o644)
    (stage / FETCHED).write_text(json.dumps({"file": path.name, "sha256": sha256_of(path)}) + "\n")


def _download(published: Upstream, stage: Path, web: Web) -> Path:
    """Fetch into a temporary folder, verify, and return the file that is to be installed."""
    url, expected = (
        _chart_source(published, stage, web) if published.repository else _file_source(published, stage, web)
    )
    path = stage / file_name(url)
    actual = web.download(url, path)
    if actual != expected:
        why = (
            "It is a web page: a proxy or a login page answered in its place"
            if _is_page(path)
            else "It is not what its makers published"
        )
        raise FetchError(f"{url} has the sha256 {actual}, and should have {expected}: not installed. {why}")
    return take_member(path, published.member) if published.member else path


def _file_source(published: Upstream, stage: Path, web: Web) -> tuple[str, str]:
    """Return a file's address and its checksum, which is pinned or published."""
    if published.sha256:
        return published.url, published.sha256
    if not published.checksum_url:
        raise CatalogueError(
            f"{published.url} has neither sha256 nor checksum_url; what cannot be verified is not installed"
        )
    lines = _download_text(published.checksum_url, stage, web).splitlines()
    found = checksum_in(lines, file_name(published.url))
    if not found:
        raise FetchError(f"{published.checksum_url} has no line for {file_name(published.url)}")
    return published.url, found


def checksum_in(lines: Iterable[str], name: str) -> str:
    """Return the sha256 of a file from the output of sha256sum, or from a text that is a checksum alone."""
    rows = [line.split() for line in lines if line.strip()]
    if len(rows) == 1 and len(rows[0]) == 1:
        rows = [[rows[0][0], name]]
    for words in rows:
        if len(words) == 2 and PurePosixPath(words[1].lstrip("*")).name == name:
            return words[0].lower() if SHA256.fullmatch(words[0].lower()) else ""
    return ""


def _chart_source(published: Upstream, stage: Path, web: Web) -> tuple[str, str]:
    """Return a chart's address and checksum from the index of its repository."""
    index = urljoin(published.repository.rstrip("/") + "/", "index.yaml")
    return chart_in(index, _download_text(index, stage, web), published)


def chart_in(index: str, text: str, published: Upstream) -> tuple[str, str]:
    """Return the address and sha256 of a chart's archive from the text of an index.yaml."""
    try:
        content = read_yaml(text)
        charts = {name: list(entries) for name, entries in content["entries"].items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise FetchError(f"{index} is not the index of a chart repository") from error
    if published.chart not in charts:
        raise FetchError(f"{index} has no chart {published.chart}{_similar(published.chart, charts)}")
    versions = {str(entry.get("version")): entry for entry in charts[published.chart]}
    if published.version not in versions:
        raise FetchError(
            f"{index} has no {published.chart} {published.version}{_similar(published.version, versions)}"
        )
    entry = versions[published.version]
    digest = str(entry.get("digest") or "").removeprefix("sha256:")
    expected = published.sha256 or digest
    if not expected:
        raise FetchError(f"{index} has no digest for {published.chart} {published.version}: pin it as sha256")
    if not entry.get("urls"):
        raise FetchError(f"{index} has no address for {published.chart} {published.version}")
    return urljoin(index, entry["urls"][0]), expected


def _similar(word: str, known: Iterable[str]) -> str:
    names = list(known)
    return f"; it has {', '.join(nearest(word, names, 3, 0.4) or names[:3]) or 'nothing'}"


def _download_text(url: str, stage: Path, web: Web) -> str:
    """Return a small file's text."""
    path = stage / ".text"
    web.download(url, path)
    try:
        if _is_page(path):
            raise FetchError(f"{url} is a web page: a proxy or a login page answered in its place")
        return path.read_text(errors="replace")
    finally:
        path.unlink()


def _is_page(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(512).lstrip().lower().startswith(PAGE)


def file_name(url: str) -> str:
    """Return the last part of an address: the file's name."""
    return unquote(PurePosixPath(urlsplit(url).path).name)


def take_member(archive: Path, member: str) -> Path:
    """Take one file out of an archive and remove the rest."""
    target = archive.parent / PurePosixPath(member).name
    try:
        with tarfile.open(archive) as tar, _member(tar, member) as stream, target.open("xb") as out:
            shutil.copyfileobj(stream, out, CHUNK)
    except KeyError:
        raise FetchError(f"{archive.name} holds no file {member}") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FetchError(
            f"{archive.name} is no whole archive, so {member} cannot be taken out: where the site has "
            f'the file itself, write member: ""'
        ) from error
    archive.unlink()
    return target


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:  # the member is a folder
        raise KeyError(name)
    return found
