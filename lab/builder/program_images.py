"""Recipes of images that hold one static program, and perhaps a shell, and are made without Docker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from module_utils.metalworks.artifacts.cache import Fingerprint, cache_root
from module_utils.metalworks.images.build import ImageCache
from module_utils.metalworks.images.names import PLACEHOLDER_HOST
from module_utils.metalworks.images.oci import single_program_image

from .recipe import Job, Recipe, Result


@dataclass(frozen=True)
class Image:
    """An image: its name, the artifact that is its program, where that lies, and commands of busybox."""

    name: str
    program: str
    path: str
    user: str
    busybox: tuple[str, ...] = ()


# Paths are those of the images that the makers publish, so that one chart fits both.
IMAGES = {
    # The published one is Alpine, whose shell is busybox.
    "object-store-image": Image(
        "versitygw", "versitygw", "usr/local/bin/versitygw", "1000:1000", busybox=("sh", "mv")
    ),
    "object-store-previous-image": Image(
        "versitygw", "versitygw-previous", "usr/local/bin/versitygw", "1000:1000", busybox=("sh", "mv")
    ),
    "prometheus-operator-image": Image(
        "prometheus-operator", "prometheus-operator", "bin/operator", "65534:65534"
    ),
    "prometheus-config-reloader-image": Image(
        "prometheus-config-reloader",
        "prometheus-config-reloader",
        "bin/prometheus-config-reloader",
        "65534:65534",
    ),
    "prometheus-image": Image("prometheus", "prometheus", "bin/prometheus", "65534:65534"),
    "alertmanager-image": Image("alertmanager", "alertmanager", "bin/alertmanager", "65534:65534"),
    "node-exporter-image": Image("node-exporter", "node-exporter", "bin/node_exporter", "65534:65534"),
    "victoria-logs-image": Image("victoria-logs", "victoria-logs", "victoria-logs-prod", "1000:1000"),
    # It reads the files of all pods, which belong to root.
    "vlagent-image": Image("vlagent", "vlagent", "vlagent-prod", "0:0"),
    "vmauth-image": Image("vmauth", "vmauth", "vmauth-prod", "1000:1000"),
}


def recipe(name: str, version: str) -> Recipe:
    """Return the recipe of one image."""
    image = IMAGES[name]
    config: dict[str, object] = {
        "Entrypoint": [f"/{image.path}"],
        "Env": ["PATH=/usr/local/bin:/bin"],
        "User": image.user,
    }

    def inputs(found: Fingerprint) -> object:
        return found.text("image", repr(image)).text("config", repr(config))

    def make(job: Job) -> Result:
        job.say("packing")
        images = ImageCache(job.cache)
        reference = f"{PLACEHOLDER_HOST}/{image.name}:{version}-{job.key[:8]}"
        files: dict[str, Path | str] = {image.path: Path(job.needs[image.program].path)}
        if image.busybox:
            files["bin/busybox"] = Path(job.needs["busybox"].path)
            files |= {f"bin/{command}": "busybox" for command in image.busybox}
        record = single_program_image(images.store, image.name, reference, files, config)
        path = images.record_path(image.name, job.key)
        record.save(path)
        return Result(version, reference=reference, record=str(path))

    needs = (image.program, "busybox") if image.busybox else (image.program,)
    return Recipe(name, version, make, inputs, needs=needs, there=_is_there)


def _is_there(result: Result) -> bool:
    """Return whether the cache has all blobs of the image."""
    name, _, key = result.record.rpartition("/")[2].removesuffix(".json").rpartition("-")
    return ImageCache(cache_root()).find(name, key) is not None
