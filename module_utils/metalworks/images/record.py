"""What an image consists of, as data: read on the operator's computer, and sent to nodes as it is.

Standard library only, and Python 3.9: nodes import it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..common.files import write_atomically


@dataclass(frozen=True)
class Blob:
    """Some content by its digest and size: what the OCI image specification calls a descriptor."""

    digest: str
    size: int  # bytes
    mediaType: str


@dataclass(frozen=True)
class Record:
    """An image: its name for pods, and its blobs (manifest, configuration, layers from the bottom up)."""

    name: str
    reference: str
    key: str  # what it was made from, as a hash
    manifest_digest: str
    config_digest: str
    blobs: tuple[Blob, ...]

    def save(self, path: Path) -> None:
        """Write the record as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(asdict(self), indent=2) + "\n", 0o644)

    @staticmethod
    def load(path: Path) -> Record:
        """Read a record; FileNotFoundError where there is none."""
        return Record.from_fields(json.loads(path.read_text()))

    @staticmethod
    def from_fields(written: dict[str, Any]) -> Record:
        """Make a record from the dictionary that another one was written as."""
        return Record(**{**written, "blobs": tuple(Blob(**blob) for blob in written["blobs"])})

    @property
    def manifest(self) -> Blob:
        """Return the blob of the manifest, to which an index points."""
        return next(blob for blob in self.blobs if blob.digest == self.manifest_digest)
