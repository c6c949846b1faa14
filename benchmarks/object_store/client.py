"""Runs in a pod with a user's key: moves a file to the store and back, and copies it on the disk to compare.

Prints one line of JSON for each round, in seconds. Checksums are compared outside of the measured time.
    python client.py ROUNDS MIB
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import s3fs
from pyarrow import fs

MIB = 2**20
FOLDER = Path("/scratch")


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


def main() -> None:
    """Run all rounds. The ways take turns, so that other load on the computer affects all of them."""
    rounds, mib = map(int, sys.argv[1:3])
    source, target = FOLDER / "source", FOLDER / "target"
    there = f"{os.environ['S3_PREFIX'].removeprefix('s3://')}/benchmark/file"
    s3, python = arrow(), s3fs.S3FileSystem()
    ways: dict[str, Callable[[], object]] = {
        "copy": lambda: shutil.copyfile(source, target),
        "synced copy": lambda: synced_copy(source, target),
        "upload by pyarrow": lambda: copy_by_arrow(str(source), there, s3, up=True),
        "download by pyarrow": lambda: copy_by_arrow(there, str(target), s3, up=False),
        "upload by s3fs": lambda: python.put_file(str(source), there),
        "download by s3fs": lambda: python.get_file(there, str(target)),
    }
    make(source, mib)
    wanted = digest(source)
    for _ in range(rounds):
        found: dict[str, float] = {}
        for name, do in ways.items():
            target.unlink(missing_ok=True)
            os.sync()  # what the last way left to the kernel is not this one's work
            found[name] = seconds(do)
            if not name.startswith("upload") and digest(target) != wanted:
                sys.exit(f"{name}: the file is not the same")
        python.rm_file(there)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
