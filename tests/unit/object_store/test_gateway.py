"""The script that starts the gateway: uploads that a killed one was putting together get their names back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "files" / "object_store" / "chart" / "files" / "gateway.sh"
UPLOAD, ETAG = "58c339b6-4cb3-47be-b967-6f24123b043c", "e1173561713b5e76de74c05c44a2e569-32"


def start(data: Path, alone: str = "true") -> str:
    """What the command prints that the script runs at last."""
    done = subprocess.run(
        ["sh", SCRIPT, "echo", "the gateway"],
        capture_output=True,
        text=True,
        env={**os.environ, "DATA": str(data), "ALONE": alone},
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def parts(data: Path, name: str, bucket: str = "a bucket", content: str = "part") -> Path:
    """The folder of an upload with one part."""
    folder = data / "buckets" / bucket / ".sgwtmp" / "multipart" / "5feceb66" / name
    folder.mkdir(parents=True)
    (folder / "1").write_text(content)
    return folder


def test_an_upload_that_was_being_put_together_gets_its_name_back(tmp_path: Path) -> None:
    for bucket in ("a bucket", "other"):
        parts(tmp_path, f"{UPLOAD}.{ETAG}.inprogress", bucket)
    waiting = parts(tmp_path, "00000000-4cb3-47be-b967-6f24123b043c")
    assert start(tmp_path) == "the gateway\n"
    for bucket in ("a bucket", "other"):
        multipart = tmp_path / "buckets" / bucket / ".sgwtmp" / "multipart" / "5feceb66"
        assert (multipart / UPLOAD / "1").read_text() == "part"
        assert not list(multipart.glob("*.inprogress"))
    assert (waiting / "1").exists()


def test_an_upload_that_is_there_under_both_names_is_left_alone(tmp_path: Path) -> None:
    parts(tmp_path, f"{UPLOAD}.{ETAG}.inprogress", content="old")
    whole = parts(tmp_path, UPLOAD, content="new")
    assert start(tmp_path) == "the gateway\n"
    assert [each.name for each in whole.iterdir()] == ["1"] and (whole / "1").read_text() == "new"


def test_one_gateway_of_several_moves_nothing_away_that_another_may_be_working_in(tmp_path: Path) -> None:
    at_work = parts(tmp_path, f"{UPLOAD}.{ETAG}.inprogress")
    assert start(tmp_path, alone="false") == "the gateway\n"
    assert (at_work / "1").exists() and len(list(at_work.parent.iterdir())) == 1


def test_an_empty_store_starts(tmp_path: Path) -> None:
    assert start(tmp_path) == "the gateway\n"
