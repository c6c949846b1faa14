"""Builds an image once per content: the same files on the same base are never built or named twice."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..artifacts.cache import Fingerprint, files_below, locked
from .docker import DockerError, build_command, build_environment, docker, has_image, write_secrets
from .names import PLACEHOLDER_HOST, is_made_here
from .oci import BlobStore, import_docker_archive
from .record import Record

# In a context, but in no image: a change of these is no reason to build.
NOT_IN_IMAGE = ("README.md", "requirements.in")

Run = Callable[[Sequence[str], Mapping[str, str]], None]


@dataclass(frozen=True)
class Wanted:
    """An image as it is asked for."""

    name: str
    version: str
    context: Path
    base: str = ""
    arguments: dict[str, str] = field(default_factory=dict)

    def fingerprint(self, found: Fingerprint) -> Fingerprint:
        """Add all that the image is made from."""
        files = files_below(self.context, unless=lambda path: path.name in NOT_IN_IMAGE)
        found.text("base", self.base).text("arguments", repr(sorted(self.arguments.items())))
        return found.files(self.context, files)

    @property
    def key(self) -> str:
        """The content of the image, before it is built."""
        return self.fingerprint(Fingerprint()).hex

    def reference(self, key: str) -> str:
        """Return the name that pods use; another content has another name."""
        return f"{PLACEHOLDER_HOST}/{self.name}:{self.version}-{key[:8]}"


class ImageCache:
    """The images that were built, as records and blobs."""

    def __init__(self, root: Path) -> None:
        """Use the cache at this place."""
        self.root = root
        self.store = BlobStore(root / "blobs")

    def record_path(self, name: str, key: str) -> Path:
        """Return where an image's record lies, or would lie."""
        return self.root / "images" / f"{name}-{key}.json"

    def find(self, name: str, key: str) -> Record | None:
        """Return an image that is there with all its blobs."""
        try:
            record = Record.load(self.record_path(name, key))
        except FileNotFoundError:
            return None
        return record if self.store.has(record.blobs) else None

    def ensure(self, wanted: Wanted, run: Run, key: str = "") -> tuple[Record, bool]:
        """Return an image, and whether it had to be built."""
        key = key or wanted.key
        with locked(self.root / "locks" / f"image-{wanted.name}.lock"):
            record = self.find(wanted.name, key)
            if record and has_image(record.reference):
                return record, False
            if not has_image(wanted.reference(key)):
                self._check_base(wanted)
                self._build(wanted, wanted.reference(key), run)
            return self._export(wanted, key), True

    def _check_base(self, wanted: Wanted) -> None:
        """Refuse a base that would have to come from a registry nobody has."""
        if is_made_here(wanted.base) and not has_image(wanted.base):
            raise DockerError(
                f"{wanted.name} is built on {wanted.base}, which Docker does not have here: "
                f"lab/build.py makes it"
            )

    def _build(self, wanted: Wanted, reference: str, run: Run) -> None:
        arguments = {**wanted.arguments, **({"BASE_IMAGE": wanted.base} if wanted.base else {})}
        with tempfile.TemporaryDirectory(prefix="metalworks-secrets-") as secrets:
            write_secrets(Path(secrets))
            run(build_command(wanted.context, reference, arguments, Path(secrets)), build_environment())

    def _export(self, wanted: Wanted, key: str) -> Record:
        """Take the image out of Docker; layers that other images brought are not compressed again."""
        reference = wanted.reference(key)
        path = self.record_path(wanted.name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".save.", dir=path.parent) as archive:
            docker("save", "--output", archive.name, reference)
            record = import_docker_archive(self.store, Path(archive.name), wanted.name, reference, key)
        record.save(path)
        return record


def run_quietly(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a build; when it fails, the end of what it said is the message."""
    done = subprocess.run(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise DockerError(f"the build failed; the last lines it printed:\n{tail}")
