"""Checksums of large files, which are read again only when they may have changed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.common.files import (
    MISSING,
    make_folder,
    read_text,
    sha256,
    write_atomically,
)

# Within this time a change can leave a file's times as they were (git's documentation: racy-git).
TICK_NS = 2 * 10**9


class Digests:
    """The sha256 of files, with a record of them as git's index has it.

    A file whose inode, size and times are those of the record is not read. Without a record all are read.
    """

    def __init__(self, record: Path) -> None:
        """Read the record. One that is damaged is as none."""
        self._record = record
        try:
            known = json.loads(read_text(record) or "{}")
        except ValueError:
            known = {}
        self._before: dict[str, Any] = known if isinstance(known, dict) else {}
        self._now: dict[str, Any] = {}

    def of(self, path: Path) -> str | None:
        """Return the sha256 of a file, or None when there is no such file."""
        asked = time.time_ns()
        try:
            found = path.stat()
        except MISSING:
            return None
        identity = [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        before = self._before.get(str(path), {})
        digest = str(before["sha256"]) if before.get("file") == identity else sha256(path)
        if digest and asked - found.st_ctime_ns > TICK_NS:
            self._now[str(path)] = {"sha256": digest, "file": identity}
        return digest

    def keep(self) -> None:
        """Write what was found into the record, and make its folder if need be."""
        if self._now != self._before:
            make_folder(self._record.parent)
            write_atomically(self._record, json.dumps(self._now), 0o600)
