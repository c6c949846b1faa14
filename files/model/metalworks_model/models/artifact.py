"""A version of a model as files: arrays of numpy, and a card that says what they are and where from.

The same data, code and parameters give the same bytes, so a card has no time of day in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

CARD = "model.json"
Array = npt.NDArray[Any]
PACKAGE = Path(__file__).resolve().parents[1]


class ArtifactProblem(ValueError):
    """Files that are not a model, or not the ones that were written; the message says which."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is: its kind, what it was made of, and the SHA-256 of each file."""

    kind: str
    parameters: dict[str, Any] = {}
    data: str = ""
    """SHA-256 of what it learnt from."""
    data_until: str = ""
    """The newest day that it learnt from."""
    code: str = ""
    """SHA-256 of the source of this package."""
    files: dict[str, str] = {}


def code_digest() -> str:
    """Return the SHA-256 of the source of this package, in hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(folder: Path, card: Card, arrays: Mapping[str, Array]) -> Card:
    """Write arrays and their card into a folder, and return the card with the files in it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, array in sorted(arrays.items()):
        path = folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(array), allow_pickle=False)
        files[path.name] = file_digest(path)
    written = msgspec.structs.replace(card, files=files)
    (folder / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(written, order="sorted")))
    return written


def read_card(folder: Path) -> Card:
    """Return the card of a folder. ArtifactProblem if there is none, or if it cannot be read."""
    try:
        return msgspec.json.decode((folder / CARD).read_bytes(), type=Card)
    except FileNotFoundError:
        raise ArtifactProblem(f"{folder} is no model of this package: it has no {CARD}") from None
    except msgspec.DecodeError as problem:
        raise ArtifactProblem(f"{folder / CARD} cannot be read: {problem}") from None


def verify(folder: Path) -> Card:
    """Compare each file with its SHA-256. ArtifactProblem if one is missing or differs."""
    card = read_card(folder)
    for name, digest in card.files.items():
        if not (folder / name).is_file():
            raise ArtifactProblem(f"{folder} lacks {name}")
        if file_digest(folder / name) != digest:
            raise ArtifactProblem(f"{folder / name} is not what was written: its SHA-256 differs")
    return card


def load(folder: Path) -> tuple[Card, dict[str, Array]]:
    """Return the card and the arrays, which stay in the files: pages are read when they are used."""
    card = verify(folder)
    arrays = {
        # A plain array over the mapped file: slicing numpy's own class for it takes several times as long.
        name.removesuffix(".npy"): np.asarray(np.load(folder / name, mmap_mode="r", allow_pickle=False))
        for name in card.files
        if name.endswith(".npy")
    }
    return card, arrays


def text(names: npt.NDArray[np.str_]) -> Array:
    """Return names as bytes in UTF-8, all of one width, as they are kept in files."""
    return np.asarray([name.encode() for name in names.tolist()], dtype=np.bytes_)
