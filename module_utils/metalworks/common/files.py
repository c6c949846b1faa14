"""Files that are written whole or not at all, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

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


class File(NamedTuple):
    """A file, found or wanted. Without a text there is none.

    A wanted file need not name a mode, owner or group (their numbers): found ones then do not matter.
    """

    text: str | None
    mode: int | None = None
    owner: int | None = None
    group: int | None = None


ABSENT = File(None)


def read_file(path: Path) -> File:
    """Return a file as it is, whoever wrote it."""
    text = read_others_text(path)
    if text is None:
        return ABSENT
    state = path.stat()
    return File(text, stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)


def is_as_wanted(found: File, wanted: File) -> bool:
    """Return whether nothing has to be written or removed."""
    same_rights = (want is None or want == has for has, want in zip(found[1:], wanted[1:]))
    return found.text == wanted.text and all(same_rights)


def put_file(path: Path, wanted: File) -> None:
    """Write a file, with the folders above it, or remove it."""
    if wanted.text is None:
        path.unlink(missing_ok=True)
        return
    make_folder(path.parent)
    mode = 0o644 if wanted.mode is None else wanted.mode
    write_atomically(path, wanted.text, mode, wanted.owner, wanted.group)


def make_folder(path: Path) -> None:
    """Make what is missing of a folder and those above it with mode 0755, whatever the umask."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)


def write_atomically(
    path: Path, content: str | bytes, mode: int, owner: int | None = None, group: int | None = None
) -> None:
    """Put a file in the place of the old one in one step, so that a reader sees one of them whole.

    Its folder has to exist. The file never has other rights than `mode`, belongs to the writer unless told
    otherwise, and is on the disk when this returns.
    """
    data = as_bytes(content) if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None or group is not None:
                os.fchown(descriptor, -1 if owner is None else owner, -1 if group is None else group)
            os.fchmod(descriptor, mode)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, where that can be had. The file is in its place in any case.

    fsync of a file says nothing about its name (fsync(2)).
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # The folder may be closed to readers, and some shared file systems have fsync for files only.
        if error.errno not in (errno.EACCES, errno.EINVAL, errno.ENOTSUP):
            raise
