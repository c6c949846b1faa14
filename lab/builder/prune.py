"""Free disk space: remove former versions, former images and Go's caches."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from module_utils.metalworks.artifacts.cache import locked
from module_utils.metalworks.images.docker import has_image
from module_utils.metalworks.images.record import Record

from .golang import environment
from .recipe import Result
from .schedule import Schedule


def prune(schedule: Schedule, cache: Path) -> list[str]:
    """Remove what the catalogue does not name any more. Return the names of what was removed."""
    removed: list[str] = []
    for parent in sorted((cache / "artifacts").iterdir()):
        keep = schedule.folder(parent.name).name if parent.name in schedule.names else ""
        with locked(cache / "locks" / f"{parent.name}.lock"):
            removed += [_remove_result(folder) for folder in sorted(parent.iterdir()) if folder.name != keep]
    removed += _remove_former_images(cache / "images")
    removed += _remove_loose_blobs(cache)
    go = schedule.result("go") if "go" in schedule.names else None
    if go:
        command = [go.path, "clean", "-cache", "-modcache"]
        subprocess.run(command, env=environment(go.path, cache), check=True)
        removed.append("Go's build and module caches")
    return removed


def _remove_result(folder: Path) -> str:
    """Remove one result with its Docker image."""
    result = Result.load(folder)
    if result and result.reference and has_image(result.reference):
        # Docker refuses to remove an image that a container still uses. Then it stays.
        subprocess.run(["docker", "image", "rm", result.reference], capture_output=True, check=False)
    shutil.rmtree(folder)
    return f"artifact {folder.parent.name} {folder.name[:8]}"


def _remove_former_images(records: Path) -> list[str]:
    """Remove all records but the newest of each image."""
    newest: dict[str, Path] = {}
    for path in sorted(records.glob("*.json"), key=lambda each: each.stat().st_mtime):
        newest[path.name.rpartition("-")[0]] = path
    former = [path for path in sorted(records.glob("*.json")) if path not in newest.values()]
    for path in former:
        path.unlink()
    return [f"image {path.stem[:-24]}" for path in former]


def _remove_loose_blobs(cache: Path) -> list[str]:
    """Remove the blobs that no image record names any more."""
    records = [Record.load(path) for path in (cache / "images").glob("*.json")]
    used = {blob.digest.rpartition(":")[2] for record in records for blob in record.blobs}
    loose = [path for path in _files(cache / "blobs" / "sha256") if path.name not in used]
    for path in loose:
        path.unlink()
    return [f"{len(loose)} blobs"] if loose else []


def _files(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
