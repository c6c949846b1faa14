"""Nothing in the cache is ever half there, and two runs do not disturb each other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from module_utils.metalworks.artifacts.cache import (
    Fingerprint,
    cache_root,
    files_below,
    locked,
    remove_leftovers,
    staged_folder,
)

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from module_utils.metalworks.artifacts.cache import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_root() == Path("/somewhere/metalworks")


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "made") as stage:
        (stage / "half").touch()
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_result_replaces_a_broken_one_whole(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "old").touch()
    with staged_folder(tmp_path / "made") as stage:
        (stage / "new").touch()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["new"]


def test_the_leftovers_of_a_killed_run_go_and_results_stay(tmp_path: Path) -> None:
    (tmp_path / ".made.x1y2").mkdir()
    (tmp_path / "made").mkdir()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_lock_waits_for_its_owner_and_dies_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    told: list[float] = []

    def waiting() -> None:
        told.append(time.monotonic())
        owner.kill()

    with locked(lock, waiting):
        assert len(told) == 1
    owner.wait()
    owner.stdout.close()


def key(folder: Path) -> str:
    return Fingerprint().text("version", "1").files(folder, files_below(folder)).hex


def test_a_key_follows_content_names_and_rights_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    first = key(tmp_path)
    os.utime(file, (1, 1))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").touch()
    assert key(tmp_path) == first, "neither times nor Python's leavings"
    file.write_text("two")
    second = key(tmp_path)
    file.chmod(0o755)
    third = key(tmp_path)
    file.rename(tmp_path / "other")
    assert len({first, second, third, key(tmp_path)}) == 4


def test_a_key_keeps_neighbours_apart() -> None:
    assert Fingerprint().text("a", "b c").hex != Fingerprint().text("a b", "c").hex
