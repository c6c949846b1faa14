"""Files that are written whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

CHUNK = 1 << 20
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def read_text(path: Path) -> str | None:
    """Return the file's text, or None when there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


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
    data = content.encode("utf-8") if isinstance(content, str) else content
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
