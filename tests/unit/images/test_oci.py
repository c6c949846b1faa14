"""Images as blobs: each layer once, every digest true, an archive with what is lacking and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from module_utils.metalworks.images.oci import (
    LAYER_ZSTD,
    BlobStore,
    files_layer,
    import_docker_archive,
    single_program_image,
    write_archive,
)
from module_utils.metalworks.images.record import Record


def sha(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def docker_archive(path: Path, layers: list[bytes], diff_ids: list[str] | None = None) -> Path:
    """What `docker save` writes, as far as it is read."""
    config = {
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "container": "not kept",
        "rootfs": {"type": "layers", "diff_ids": diff_ids or [sha(layer) for layer in layers]},
    }
    files = {
        "config.json": json.dumps(config).encode(),
        **{f"{number}/layer.tar": layer for number, layer in enumerate(layers)},
    }
    files["manifest.json"] = json.dumps(
        [{"Config": "config.json", "RepoTags": ["x"], "Layers": [name for name in files if "layer" in name]}]
    ).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def image(store: BlobStore, folder: Path, name: str, layers: list[bytes]) -> Record:
    return import_docker_archive(
        store, docker_archive(folder / f"{name}.tar", layers), name, f"r/{name}:1", "key"
    )


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def test_every_blob_is_what_its_name_says(store: BlobStore, tmp_path: Path) -> None:
    record = image(store, tmp_path, "one", [b"base" * 100, b"top"])
    assert store.has(record.blobs)
    for blob in record.blobs:
        content = store.path(blob.digest).read_bytes()
        assert (sha(content), len(content)) == (blob.digest, blob.size)
    manifest = json.loads(store.path(record.manifest_digest).read_bytes())
    assert [layer["mediaType"] for layer in manifest["layers"]] == [LAYER_ZSTD, LAYER_ZSTD]
    layer = store.path(manifest["layers"][0]["digest"]).read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(layer) == b"base" * 100
    assert "container" not in json.loads(store.path(record.config_digest).read_bytes())


def test_a_shared_layer_is_kept_once(store: BlobStore, tmp_path: Path) -> None:
    one = image(store, tmp_path, "one", [b"base", b"top"])
    two = image(store, tmp_path, "two", [b"base", b"other"])
    assert len({blob.digest for blob in one.blobs} & {blob.digest for blob in two.blobs}) == 1


def test_a_layer_that_is_not_what_its_image_says_is_refused(store: BlobStore, tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "bad.tar", [b"layer"], diff_ids=[sha(b"another")])
    with pytest.raises(ValueError, match=r"its image says sha256:"):
        import_docker_archive(store, archive, "bad", "r/bad:1", "key")
    assert not list((store.root / "sha256").iterdir())


def test_a_lost_or_short_blob_is_noticed(store: BlobStore, tmp_path: Path) -> None:
    record = image(store, tmp_path, "one", [b"base"])
    store.path(record.blobs[-1].digest).write_bytes(b"")
    assert not store.has(record.blobs)
    again = image(store, tmp_path, "one", [b"base"])
    assert store.has(again.blobs)


def test_a_record_is_read_as_it_was_written(store: BlobStore, tmp_path: Path) -> None:
    record = image(store, tmp_path, "one", [b"base"])
    record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == record


def test_an_archive_holds_each_blob_once_and_names_both_images(store: BlobStore, tmp_path: Path) -> None:
    records = [image(store, tmp_path, name, [b"base", name.encode()]) for name in ("one", "two")]
    size = write_archive(store, records, tmp_path / "out.tar")
    found = members(tmp_path / "out.tar")
    blobs = {name: content for name, content in found.items() if name.startswith("blobs/")}
    assert len(blobs) == 7
    assert size == sum(map(len, blobs.values()))
    assert {name.rpartition("/")[2] for name in blobs} == {sha(content)[7:] for content in blobs.values()}
    names = [
        entry["annotations"]["io.containerd.image.name"]
        for entry in json.loads(found["index.json"])["manifests"]
    ]
    assert names == ["r/one:1", "r/two:1"]


def test_only_what_is_lacking_is_in_an_archive(store: BlobStore, tmp_path: Path) -> None:
    record = image(store, tmp_path, "one", [b"base", b"top"])
    lacking = {record.blobs[-1].digest}
    assert write_archive(store, [record], tmp_path / "out.tar", lacking) == record.blobs[-1].size
    assert len([name for name in members(tmp_path / "out.tar") if name.startswith("blobs/")]) == 1


def test_a_single_program_image_is_the_same_every_time(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"binary")
    config: dict[str, Any] = {"Entrypoint": ["/bin/program"]}
    records = [
        single_program_image(
            BlobStore(tmp_path / name), "p", "r/p:1", {"bin/program": program, "bin/sh": "program"}, config
        )
        for name in ("one", "two")
    ]
    assert records[0] == records[1]


def test_a_program_can_be_executed_and_a_text_is_a_link(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"binary")
    with tarfile.open(fileobj=io.BytesIO(files_layer({"bin/program": program, "bin/sh": "program"}))) as tar:
        entries = {entry.name: entry for entry in tar}
    assert entries["bin/program"].mode == 0o755
    assert entries["bin/sh"].issym()
    assert entries["bin"].isdir()
