"""Runs in a pod like a user's server: moves a file to the store and back, and copies it on the disk.

Prints one line of JSON for each round, in seconds. Checksums are compared outside of the measured time.
    python client.py ROUNDS MIB
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import s3fs
from pyarrow import fs

MIB = 2**20
FOLDER = Path("/scratch")
REPOSITORY = FOLDER / "repository"


class Way(NamedTuple):
    """One way to move the file, and the copy that it makes on the disk, if any."""

    do: Callable[[], object]
    copy: Path | None = None


def section(variable: str) -> configparser.SectionProxy:
    """Return what AWS's programs read of a file that a variable names."""
    parser = configparser.ConfigParser()
    parser.read(os.environ[variable])
    return parser["default"]


def arrow() -> fs.S3FileSystem:
    """Return pyarrow's client, which is C++."""
    key, settings = section("AWS_SHARED_CREDENTIALS_FILE"), section("AWS_CONFIG_FILE")
    endpoint = urlsplit(settings["endpoint_url"])
    return fs.S3FileSystem(
        access_key=key["aws_access_key_id"],
        secret_key=key["aws_secret_access_key"],
        region=settings["region"],
        endpoint_override=endpoint.netloc,
        scheme=endpoint.scheme,
    )


def copy_by_arrow(source: str, target: str, s3: fs.S3FileSystem, *, up: bool) -> None:
    """Copy one file to the store or from it, in pieces of 16 MiB, of which several are on their way."""
    local = fs.LocalFileSystem()
    places = {"source_filesystem": local if up else s3, "destination_filesystem": s3 if up else local}
    fs.copy_files(source, target, chunk_size=16 * MIB, **places)


def seconds(do: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.monotonic()
    do()
    return time.monotonic() - began


def digest(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make(path: Path, mib: int) -> None:
    """Write a file that cannot be compressed."""
    with path.open("wb") as stream:
        for _ in range(mib):
            stream.write(os.urandom(MIB))


def synced_copy(source: Path, target: Path) -> None:
    """Copy a file, and wait until the disk has it."""
    shutil.copyfile(source, target)
    with target.open("rb") as stream:
        os.fsync(stream)


def dvc(*arguments: str) -> None:
    """Run dvc in the repository, with the settings that a user's server has."""
    done = subprocess.run(["dvc", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dvc {arguments[0]}: {done.stdout}{done.stderr}")


def track(source: Path) -> Path:
    """Make a repository with a copy of the file as its data set, and return where that lies."""
    REPOSITORY.mkdir()
    data = REPOSITORY / "data"
    shutil.copyfile(source, data)
    dvc("init", "--no-scm", "--quiet")
    dvc("add", "--quiet", data.name)
    return data


def main() -> None:
    """Run all rounds. The ways take turns, so that other load on the computer affects all of them."""
    rounds, mib = map(int, sys.argv[1:3])
    source, target = FOLDER / "source", FOLDER / "target"
    bucket = os.environ["S3_PREFIX"].removeprefix("s3://")
    there = f"{bucket}/benchmark/file"
    s3, python = arrow(), s3fs.S3FileSystem()
    make(source, mib)
    wanted, data = digest(source), track(source)
    ways = {
        "copy": Way(lambda: shutil.copyfile(source, target), target),
        "synced copy": Way(lambda: synced_copy(source, target), target),
        "upload by pyarrow": Way(lambda: copy_by_arrow(str(source), there, s3, up=True)),
        "download by pyarrow": Way(lambda: copy_by_arrow(there, str(target), s3, up=False), target),
        "upload by s3fs": Way(lambda: python.put_file(str(source), there)),
        "download by s3fs": Way(lambda: python.get_file(there, str(target)), target),
        "dvc push": Way(lambda: dvc("push", "--quiet")),
        "dvc pull": Way(lambda: dvc("pull", "--quiet"), data),
    }
    for _ in range(rounds):
        found: dict[str, float] = {}
        for name, way in ways.items():
            if way.copy:
                way.copy.unlink(missing_ok=True)
            if way.copy == data:  # as in a server that has only the repository
                shutil.rmtree(REPOSITORY / ".dvc" / "cache")
            os.sync()  # what the last way left to the kernel is not this one's work
            found[name] = seconds(way.do)
            if way.copy and digest(way.copy) != wanted:
                sys.exit(f"{name}: the file is not the same")
        python.invalidate_cache()
        python.rm([there, f"{bucket}/dvc"], recursive=True)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
