"""A file is seen whole or not at all, and with its own rights from the first moment on."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest
from module_utils.metalworks.common.files import (
    displayable,
    read_others_text,
    read_text,
    sha256,
    sha256_of,
    write_atomically,
)


@pytest.mark.parametrize("content", ["zwölf\n", b"\x00\xff"], ids=["text", "bytes"])
def test_the_new_content_replaces_the_old(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    write_atomically(path, content, 0o640)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new", 0o600)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(os.fstat(descriptor).st_mode))
    old = os.umask(0)
    try:
        write_atomically(tmp_path / "secret", "s3cret", 0o600)
    finally:
        os.umask(old)
    assert [mode & 0o077 for mode in seen if stat.S_ISREG(mode)] == [0]


def test_the_name_is_on_the_disk_after_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def sync(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), (tmp_path / "file").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write_atomically(tmp_path / "file", "content", 0o600)
    assert synced == [(False, False), (True, True)]


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_may_lack_fsync_for_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: bool
) -> None:
    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "of the file system")

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError) if fails else contextlib.nullcontext():
        write_atomically(tmp_path / "file", "content", 0o600)
    assert (tmp_path / "file").read_text() == "content"


def test_a_file_gets_its_owner_and_group_before_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        os, "fchown", lambda opened, owner, group: seen.append((os.fstat(opened).st_size, owner, group))
    )
    write_atomically(tmp_path / "of_a_group", "s3cret", 0o640, group=7)
    write_atomically(tmp_path / "of_both", "s3cret", 0o640, 0, 7)
    write_atomically(tmp_path / "of_the_writer", "s3cret", 0o640)
    assert seen == [(0, -1, 7), (0, 0, 7)]


def test_what_is_not_there_has_no_text_and_no_checksum(tmp_path: Path) -> None:
    assert read_text(tmp_path / "none") is None
    assert sha256(tmp_path / "none") is None
    assert sha256(tmp_path) is None
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "none")


def test_a_checksum_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_another_encoding_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"f\xfcr zw\xc3\xb6lf\n")
    text = read_others_text(path)
    assert text
    assert displayable(text) == "f\ufffdr zwölf\n"
    write_atomically(path, text, 0o600)
    assert path.read_bytes() == b"f\xfcr zw\xc3\xb6lf\n"
    assert read_others_text(tmp_path / "none") is None
