"""Container images as blobs: each layer once, named by its digest, whatever image it belongs to.

An image record says which blobs make an image. Records and blobs live in the cache; what a node lacks is
sent from there as one OCI archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from ..common.files import CHUNK, write_atomically
from .record import Blob, Record

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_ZSTD = f"{LAYER}+zstd"
INDEX = "application/vnd.oci.image.index.v1+json"
LEVEL = 3  # of zstd: higher levels take much more time and save little
KEPT_OF_CONFIG = ("architecture", "os", "variant", "created", "config", "rootfs", "history")


class BlobStore:
    """A folder of blobs, each named by the digest of its content."""

    def __init__(self, root: Path) -> None:
        """Use a folder, which need not exist yet."""
        self.root = root

    def path(self, digest: str) -> Path:
        """Return the path of a blob, which may not exist yet."""
        algorithm, _, hexadecimal = digest.partition(":")
        return self.root / algorithm / hexadecimal

    def has(self, blobs: Iterable[Blob]) -> bool:
        """Return whether all blobs exist with their full sizes."""
        return all(self._size(blob.digest) == blob.size for blob in blobs)

    def architecture(self, record: Record) -> str:
        """Return the architecture that an image is built for, such as amd64."""
        return str(json.loads(self.path(record.config_digest).read_text()).get("architecture", ""))

    def put(self, content: bytes, media_type: str) -> Blob:
        """Store some bytes, and return their blob."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if self._size(digest) != len(content):
            path = self.path(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content, 0o644)
        return Blob(digest, len(content), media_type)

    def put_layer(self, diff_id: str, layer: IO[bytes]) -> Blob:
        """Compress and store a layer.

        One that was stored before, even for another image, is not compressed again.
        """
        known = self.root / "layers" / diff_id.partition(":")[2]
        if known.exists():
            blob = Blob(**json.loads(known.read_text()))
            if self.has([blob]):
                return blob
        blob = self._compress(diff_id, layer)
        known.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(known, json.dumps(asdict(blob)) + "\n", 0o644)
        return blob

    def _compress(self, diff_id: str, layer: IO[bytes]) -> Blob:
        """Compress a layer, and check that its content has the announced digest."""
        import zstandard

        parent = self.root / "sha256"
        parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".layer.", dir=parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                out = _Hashing(stream)
                content = hashlib.sha256()
                packer = zstandard.ZstdCompressor(level=LEVEL, threads=-1)
                with packer.stream_writer(out, closefd=False) as packed:  # type: ignore[arg-type]
                    while chunk := layer.read(CHUNK):
                        content.update(chunk)
                        packed.write(chunk)
            if f"sha256:{content.hexdigest()}" != diff_id:
                raise ValueError(f"a layer is sha256:{content.hexdigest()}; its image says {diff_id}")
            blob = Blob(f"sha256:{out.digest.hexdigest()}", out.size, LAYER_ZSTD)
            Path(name).chmod(0o644)
            Path(name).rename(self.path(blob.digest))
            return blob
        finally:
            Path(name).unlink(missing_ok=True)

    def _size(self, digest: str) -> int:
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return -1


class _Hashing:
    """A stream that hashes and counts what passes through."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()


def import_docker_archive(store: BlobStore, archive: Path, name: str, reference: str, key: str) -> Record:
    """Store the image of an archive of `docker save` as blobs, and return its record."""
    with tarfile.open(archive) as tar:
        listed = json.loads(_member(tar, "manifest.json").read())[0]
        config = json.loads(_member(tar, listed["Config"]).read())
        layers = [
            store.put_layer(diff_id, _member(tar, path))
            for diff_id, path in zip(config["rootfs"]["diff_ids"], listed["Layers"], strict=True)
        ]
    kept = {field: config[field] for field in KEPT_OF_CONFIG if field in config}
    return store_image(store, name, reference, key, kept, layers)


def _member(tar: tarfile.TarFile, path: str) -> IO[bytes]:
    stream = tar.extractfile(path)
    if stream is None:
        raise ValueError(f"{path} in the archive is not a file")
    return stream


def store_image(
    store: BlobStore, name: str, reference: str, key: str, config: dict[str, Any], layers: list[Blob]
) -> Record:
    """Store an image's configuration and manifest, and return its record."""
    config_blob = store.put(_canonical(config), CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": asdict(config_blob),
        "layers": [asdict(layer) for layer in layers],
    }
    manifest_blob = store.put(_canonical(manifest), MANIFEST)
    return Record(
        name, reference, key, manifest_blob.digest, config_blob.digest, (manifest_blob, config_blob, *layers)
    )


def single_program_image(
    store: BlobStore, name: str, reference: str, files: dict[str, Path | str], config: dict[str, Any]
) -> Record:
    """Store an image of a few files. A text instead of a path becomes a symbolic link."""
    layer = files_layer(files)
    blob = store.put(layer, LAYER)
    whole = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [blob.digest]},
    }
    return store_image(store, name, reference, blob.digest[7:39], whole, [blob])


def files_layer(files: dict[str, Path | str]) -> bytes:
    """Return a layer (tar) that depends only on the files' names, contents and modes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
        for folder in sorted(folders):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755))
        for name, source in sorted(files.items()):
            if isinstance(source, str):
                link = _entry(name, tarfile.SYMTYPE, 0o777)
                link.linkname = source
                tar.addfile(link)
                continue
            entry = _entry(name, tarfile.REGTYPE, 0o755)
            entry.size = source.stat().st_size
            with source.open("rb") as stream:
                tar.addfile(entry, stream)
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, 0
    return entry


def write_archive(
    store: BlobStore, records: list[Record], target: Path, lacking: set[str] | None = None
) -> int:
    """Write images as one OCI archive and return the bytes of its blobs.

    With `lacking`, only those blobs are in it: the receiver has the rest. Each blob is in it once.
    """
    wanted = {
        blob.digest: blob
        for record in records
        for blob in record.blobs
        if lacking is None or blob.digest in lacking
    }
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        _add_bytes(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add_bytes(tar, "index.json", _canonical(index_of(records)))
        for digest in wanted:
            entry = _entry(f"blobs/{digest.replace(':', '/')}", tarfile.REGTYPE, 0o644)
            entry.size = wanted[digest].size
            with store.path(digest).open("rb") as stream:
                tar.addfile(entry, stream)
    return sum(blob.size for blob in wanted.values())


def write_layout(store: BlobStore, record: Record, folder: Path) -> None:
    """Make an empty folder the OCI layout of one image, as other programs read it; no blob is copied."""
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_bytes(_canonical(index_of([record])))
    (folder / "blobs").symlink_to(store.root.resolve())


def index_of(records: list[Record]) -> dict[str, Any]:
    """Return the index of an archive: the manifest of each name."""
    manifests = [{**asdict(record.manifest), "annotations": _names(record.reference)} for record in records]
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}


def _names(reference: str) -> dict[str, str]:
    """Return the annotations from which containerd and other programs read an image's name."""
    tag = reference.rpartition(":")[2]
    return {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag}


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = _entry(name, tarfile.REGTYPE, 0o644)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
