"""The cache of what is built or fetched: keyed by content, safe for two runs at once.

Nothing in it is ever half there: a result is made under a temporary name and renamed when it is whole,
under a lock that the kernel drops when its owner dies.
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
    """What a result is made from, as one hash: named texts and the contents of files."""

    def __init__(self) -> None:
        """Start with nothing added."""
        self._hash = hashlib.sha256()

    def text(self, name: str, value: str) -> Fingerprint:
        """Add a value; the lengths keep `ab`+`c` apart from `a`+`bc`."""
        self._hash.update(f"{len(name)} {name} {len(value)} {value}\n".encode())
        return self

    def files(self, root: Path, paths: Iterable[Path]) -> Fingerprint:
        """Add files by their place below root, their content and whether they can be executed."""
        for path in sorted(paths):
            kind = "link" if path.is_symlink() else "x" if os.access(path, os.X_OK) else "-"
            content = str(path.readlink()) if kind == "link" else sha256_of(path)
            self.text(f"{kind} {path.relative_to(root)}", content)
        return self

    @property
    def hex(self) -> str:
        """The key: long enough never to collide, short enough to be read aloud."""
        return self._hash.hexdigest()[:32]


def files_below(folder: Path, unless: Callable[[Path], bool] = lambda _: False) -> list[Path]:
    """Return every file below a folder, in a fixed order, without Python's own leavings."""
    found = (p for p in folder.rglob("*") if p.is_symlink() or p.is_file())
    return sorted(p for p in found if "__pycache__" not in p.parts and not unless(p))


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock that two runs share; `waiting` is told once when another run has it."""
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
    """Give a temporary folder that becomes `target` when the block ends well, and vanishes otherwise."""
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
    """Remove what killed runs left; only the owner of the lock over `parent` may call this."""
    for stage in parent.glob(".*"):
        shutil.rmtree(stage, ignore_errors=True)
