"""Files that are written whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import os
import posixpath
import tempfile
from pathlib import Path

CHUNK = 1 << 20
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def one_slash(folder: object) -> str:
    """Return a folder's path as /proc/mounts writes it. normpath alone keeps two slashes at the beginning."""
    return posixpath.normpath(f"//{folder}")


def read_text(path: Path) -> str | None:
    """Return the file's text, or None when there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def read_others_text(path: Path) -> str | None:
    """Return the text of a file that somebody else wrote, perhaps in another encoding than UTF-8.

    Bytes that are no UTF-8 stand in it as Python's surrogates, and write_atomically gives them back as they
    were. A module has to return `displayable` text.
    """
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def displayable(text: str) -> str:
    """Return a text of read_others_text for people: a mark stands for each byte that is no UTF-8."""
    return as_bytes(text).decode("utf-8", "replace")


def as_bytes(text: str) -> bytes:
    """Return the bytes of a text that read_text or read_others_text returned."""
    return text.encode("utf-8", "surrogateescape")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, which is never read whole into memory; OSError when it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def sha256(path: Path) -> str | None:
    """Return the sha256 of a file, or None when there is no such file."""
    try:
        return sha256_of(path)
    except MISSING:
        return None


def write_atomically(path: Path, content: str | bytes, mode: int) -> None:
    """Put a file in the place of the old one in one step, so that a reader sees one of them whole.

    Its folder has to exist. The file never has other rights than `mode`, and is on the disk when this
    returns.
    """
    data = as_bytes(content) if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
