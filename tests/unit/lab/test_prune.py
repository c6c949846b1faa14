"""Pruning takes what the catalogue no longer names, and nothing that is still asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab.builder.progress import Progress
from lab.builder.prune import prune
from lab.builder.recipe import Job, Recipe, Result
from lab.builder.schedule import Schedule
from module_utils.metalworks.artifacts.cache import Fingerprint
from module_utils.metalworks.images.oci import BlobStore, single_program_image
from module_utils.metalworks.images.record import Record


def schedule(cache: Path, version: str) -> Schedule:
    def make(job: Job) -> Result:
        (job.out / "file").write_text(version)
        return Result(version, path="file")

    def inputs(found: Fingerprint) -> object:
        return found.text("version", version)

    return Schedule({"thing": Recipe("thing", version, make, inputs)}, cache, Progress(quiet=True))


def image(cache: Path, content: str, age: int) -> Record:
    program = cache / "program"
    program.write_text(content)
    record = single_program_image(BlobStore(cache / "blobs"), "hub", "r/hub:1", {"program": program}, {})
    path = cache / "images" / f"hub-{record.key}.json"
    record.save(path)
    os.utime(path, (age, age))
    return record


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    schedule(tmp_path, "1").ensure(["thing"])
    schedule(tmp_path, "2").ensure(["thing"])
    return tmp_path


def test_the_former_version_goes_and_the_present_one_stays(cache: Path) -> None:
    now = schedule(cache, "2")
    removed = prune(now, cache)
    assert [path.name for path in (cache / "artifacts" / "thing").iterdir()] == [now.key("thing")]
    assert now.missing(["thing"]) == []
    assert len(removed) == 1


def test_an_artifact_that_is_not_in_the_catalogue_goes(cache: Path) -> None:
    (cache / "artifacts" / "gone" / "key").mkdir(parents=True)
    prune(schedule(cache, "2"), cache)
    assert not list((cache / "artifacts" / "gone").iterdir())


def test_the_newest_image_keeps_its_layers(cache: Path) -> None:
    former, newest = image(cache, "one", age=1), image(cache, "two", age=2)
    prune(schedule(cache, "2"), cache)
    store = BlobStore(cache / "blobs")
    assert store.has(newest.blobs)
    assert not store.path(former.manifest_digest).exists()
    assert len(list((cache / "images").iterdir())) == 1
