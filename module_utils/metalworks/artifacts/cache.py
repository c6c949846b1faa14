"""The cache of everything that is built or fetched. Two runs may use it at the same time.

A result is made under a temporary name and renamed when it is complete, so the cache holds no half results.
Locks are released by the kernel when their process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..common.files import sha256_of


def cache_root() -> Path:
    """Return the folder that holds everything Metalworks built or fetched for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "metalworks"


class Fingerprint:
    """A hash of everything that a result is made from: named texts and the contents of files."""

    def __init__(self) -> None:
        """Begin with an empty hash."""
        self._hash = hashlib.sha256()

    def text(self, name: str, value: str) -> Fingerprint:
        """Add a value. The lengths are added too, so that `ab`+`c` differs from `a`+`bc`."""
        self._hash.update(f"{len(name)} {name} {len(value)} {value}\n".encode())
        return self

    def files(self, root: Path, paths: Iterable[Path]) -> Fingerprint:
        """Add files: their paths below root, their contents, and whether they can be executed."""
        for path in sorted(paths):
            kind = "link" if path.is_symlink() else "x" if os.access(path, os.X_OK) else "-"
            content = str(path.readlink()) if kind == "link" else sha256_of(path)
            self.text(f"{kind} {path.relative_to(root)}", content)
        return self

    @property
    def hex(self) -> str:
        """Return the first 32 hexadecimal digits of the hash, which are enough never to collide."""
        return self._hash.hexdigest()[:32]


def files_below(folder: Path, unless: Callable[[Path], bool] = lambda _: False) -> list[Path]:
    """Return every file below a folder in a fixed order, but no files of Python's bytecode cache."""
    found = (p for p in folder.rglob("*") if p.is_symlink() or p.is_file())
    return sorted(p for p in found if "__pycache__" not in p.parts and not unless(p))


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file. `waiting` is called once if another run holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder. It becomes `target` when the block succeeds, and is removed when it fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield stage
        stage.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove temporary folders of killed runs. The caller must hold the lock of `parent`."""
    for stage in parent.glob(".*"):
        shutil.rmtree(stage, ignore_errors=True)
