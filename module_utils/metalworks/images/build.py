"""Build an image once for each content: its name holds a hash of its files, base image and arguments."""

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

# Files and folders of a context that are in no image: a change of them needs no build. A part has its chart
# beside its Dockerfile, and a package its tests.
NOT_IN_IMAGE = {"README.md", "requirements.in", "chart", "pyproject.toml", "tests"}

Run = Callable[[Sequence[str], Mapping[str, str]], None]


@dataclass(frozen=True)
class Wanted:
    """A wanted image."""

    name: str
    version: str
    context: Path
    base: str = ""
    arguments: dict[str, str] = field(default_factory=dict)

    def fingerprint(self, found: Fingerprint) -> Fingerprint:
        """Add everything that the image is built from."""
        files = files_below(
            self.context, unless=lambda path: bool(NOT_IN_IMAGE & {*path.relative_to(self.context).parts})
        )
        found.text("base", self.base).text("arguments", repr(sorted(self.arguments.items())))
        return found.files(self.context, files)

    @property
    def key(self) -> str:
        """Return a hash of everything that the image is built from."""
        return self.fingerprint(Fingerprint()).hex

    def reference(self, key: str) -> str:
        """Return the name that pods use. It ends in the beginning of the key."""
        return f"{PLACEHOLDER_HOST}/{self.name}:{self.version}-{key[:8]}"


class ImageCache:
    """The built images in the cache, as records and blobs."""

    def __init__(self, root: Path) -> None:
        """Use the cache in this folder."""
        self.root = root
        self.store = BlobStore(root / "blobs")

    def record_path(self, name: str, key: str) -> Path:
        """Return the path of an image's record, which may not exist yet."""
        return self.root / "images" / f"{name}-{key}.json"

    def find(self, name: str, key: str) -> Record | None:
        """Return the record of an image whose blobs are all in the cache, or None."""
        try:
            record = Record.load(self.record_path(name, key))
        except FileNotFoundError:
            return None
        return record if self.store.has(record.blobs) else None

    def find_digest(self, name: str, digest: str) -> Record | None:
        """Return the record of an image of this name whose manifest has this digest, or None."""
        records = (Record.load(path) for path in sorted((self.root / "images").glob(f"{name}-*.json")))
        return next((record for record in records if record.manifest_digest == digest), None)

    def ensure(self, wanted: Wanted, run: Run, key: str = "") -> tuple[Record, bool]:
        """Return the record of an image, and whether it had to be built just now."""
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
        """Refuse a base image of the lab that Docker does not have: no registry has it."""
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
        """Copy the image from Docker into the cache. Layers that the cache has are not compressed again."""
        reference = wanted.reference(key)
        path = self.record_path(wanted.name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".save.", dir=path.parent) as archive:
            docker("save", "--output", archive.name, reference)
            record = import_docker_archive(self.store, Path(archive.name), wanted.name, reference, key)
        record.save(path)
        return record


def run_quietly(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a build; DockerError holds the last 40 lines of its output."""
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
