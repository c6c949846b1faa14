"""A large file is read once, and again when it is another one."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from ansible.module_utils.metalworks.common import digests
from ansible.module_utils.metalworks.common.digests import Digests


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Note each file that is read. The files of a test are young: here that does not matter."""
    found: list[Path] = []

    def sha256(path: Path) -> str:
        found.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(digests, "sha256", sha256)
    monkeypatch.setattr(digests, "TICK_NS", -1)
    return found


def ask(folder: Path, *names: str) -> list[str | None]:
    asked = Digests(folder / "made" / "record.json")
    answers = [asked.of(folder / name) for name in names]
    asked.keep()
    return answers


def test_a_file_is_read_once(tmp_path: Path, read: list[Path]) -> None:
    (tmp_path / "a").write_text("one")
    first = ask(tmp_path, "a")
    assert first == [hashlib.sha256(b"one").hexdigest()]
    assert ask(tmp_path, "a") == first
    assert read == [tmp_path / "a"]
    assert (tmp_path / "made" / "record.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_changed_is_read_again_even_if_its_times_were_set_back(
    tmp_path: Path, read: list[Path]
) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    before = file.stat()
    ask(tmp_path, "a")
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask(tmp_path, "a") == [hashlib.sha256(b"two").hexdigest()]
    assert len(read) == 2


def test_a_file_of_a_moment_ago_is_not_recorded(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes to read it."""
    monkeypatch.setattr(digests, "TICK_NS", 60 * 10**9)
    (tmp_path / "a").write_text("one")
    now = time.time_ns()
    times = iter([now, now + 100 * 10**9])
    monkeypatch.setattr(digests.time, "time_ns", lambda: next(times))
    ask(tmp_path, "a")
    assert len(read) == 1
    assert not (tmp_path / "made").exists()


def test_a_missing_file_has_no_digest(tmp_path: Path, read: list[Path]) -> None:
    assert ask(tmp_path, "a") == [None]
    assert read == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"PATH": {}}', '{"PATH": {"file": 1}}'])
def test_a_damaged_record_is_as_none(tmp_path: Path, read: list[Path], text: str) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "record.json").write_text(text.replace("PATH", str(tmp_path / "a")))
    (tmp_path / "a").write_text("one")
    assert ask(tmp_path, "a") == [hashlib.sha256(b"one").hexdigest()]
    assert read == [tmp_path / "a"]
