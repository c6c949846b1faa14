"""The records of the instances: one file for each, changed under a lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from module_utils.metalworks.common.files import write_atomically


@dataclass
class Record:
    """An instance as it was ordered; its container tells whether it runs. Sizes are bytes."""

    name: str
    image: str
    address: str
    cpus: int
    memory: int
    disk: int
    deleted: bool = False
    mounts: dict[str, str] = field(default_factory=dict)  # target -> source


def state_folder() -> Path:
    """Return the folder of the records. METALWORKS_MULTIPASS names another service with other instances."""
    base = (
        os.environ.get("XDG_STATE_HOME") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".local/state"
    )
    return Path(base) / "metalworks" / "multipass" / service_name()


def service_name() -> str:
    """Return the name of the service, which METALWORKS_MULTIPASS may set."""
    return os.environ.get("METALWORKS_MULTIPASS", "multipass")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock that keeps commands which run at the same time from changing records together."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_all(folder: Path) -> dict[str, Record]:
    """Return all records of a service by the names of their instances."""
    return {path.stem: Record(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))}


def write(folder: Path, record: Record) -> None:
    """Write a record as one file, which readers see whole or not at all."""
    write_atomically(folder / f"{record.name}.json", json.dumps(asdict(record)), 0o644)


def forget(folder: Path, name: str) -> None:
    """Remove an instance's record, if there is one."""
    (folder / f"{name}.json").unlink(missing_ok=True)
