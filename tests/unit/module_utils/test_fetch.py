"""What is fetched is verified, kept, and fetched once."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import IO, Any

import pytest
from module_utils.metalworks.artifacts import CatalogueError, parse_artifact
from module_utils.metalworks.fetch import FetchError, fetch

URL = "https://example.org/thing"
CONTENT = b"#!/bin/sh\n"


class Site:
    """Answers addresses and counts how often each was asked for."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: Counter[str] = Counter()

    def open(self, url: str) -> IO[bytes]:
        self.asked[url] += 1
        return io.BytesIO(self.pages[url])


def sums(content: bytes, name: str = "thing") -> bytes:
    return f"{'0' * 64}  other\n{hashlib.sha256(content).hexdigest()} *{name}\n".encode()


def artifact(**upstream: Any) -> Any:
    entry = {"kind": "binary", "licence": "MIT", "upstream": {"version": "1", "url": URL, **upstream}}
    return parse_artifact("thing", entry)


def test_a_file_is_fetched_once_and_can_be_executed(tmp_path: Path) -> None:
    site = Site({URL: CONTENT, f"{URL}.sums": sums(CONTENT)})
    wanted = artifact(checksum_url=f"{URL}.sums")
    first = fetch(wanted, "amd64", tmp_path, site.open)
    again = fetch(wanted, "amd64", tmp_path, site.open)
    assert (first.changed, again.changed) == (True, False)
    assert first.path == again.path
    assert first.path.read_bytes() == CONTENT
    assert first.path.stat().st_mode & 0o111
    assert site.asked[URL] == 1


def test_another_content_than_published_is_refused_and_not_kept(tmp_path: Path) -> None:
    site = Site({URL: b"<html>Log in to the network</html>", f"{URL}.sums": sums(CONTENT)})
    with pytest.raises(FetchError, match="nothing is installed"):
        fetch(artifact(checksum_url=f"{URL}.sums"), "amd64", tmp_path, site.open)
    assert not [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    site = Site({URL: CONTENT})
    wanted = artifact(sha256=hashlib.sha256(CONTENT).hexdigest())
    fetch(wanted, "amd64", tmp_path, site.open).path.write_bytes(b"half")
    assert fetch(wanted, "amd64", tmp_path, site.open).path.read_bytes() == CONTENT


def test_what_cannot_be_verified_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    site = Site({URL: CONTENT})
    with pytest.raises(CatalogueError, match="neither sha256 nor checksum_url"):
        fetch(artifact(), "amd64", tmp_path, site.open)
    assert not site.asked[URL]


def test_a_checksum_list_without_the_file_is_refused(tmp_path: Path) -> None:
    site = Site({URL: CONTENT, f"{URL}.sums": sums(CONTENT, name="others")})
    with pytest.raises(FetchError, match="no line for thing"):
        fetch(artifact(checksum_url=f"{URL}.sums"), "amd64", tmp_path, site.open)


def test_one_file_is_taken_out_of_an_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("linux-amd64/helm")
        entry.size = len(CONTENT)
        tar.addfile(entry, io.BytesIO(CONTENT))
    site = Site({URL: buffer.getvalue()})
    wanted = artifact(sha256=hashlib.sha256(buffer.getvalue()).hexdigest(), member="linux-{arch}/helm")
    found = fetch(wanted, "amd64", tmp_path, site.open)
    assert (found.path.name, found.path.read_bytes()) == ("helm", CONTENT)
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert [path.name for path in found.path.parent.iterdir() if path.suffix != ".json"] == ["helm"]
