"""Recipes of the images that are built with Docker, all on the lab's base image."""

from __future__ import annotations

from module_utils.metalworks.artifacts.cache import cache_root
from module_utils.metalworks.images.build import ImageCache, Wanted
from module_utils.metalworks.images.docker import has_image

from .recipe import LAB, Job, Recipe, Result

BASE = "base-image"
# artifact -> folder below lab/images, name of the image
IMAGES = {
    "hub-image": ("hub", "hub"),
    "proxy-image": ("proxy", "proxy"),
    "notebook-minimal-image": ("notebook", "notebook-minimal"),
    "object-store-front-image": ("object_store_front", "object-store-front"),
    "kube-state-metrics-image": ("kube_state_metrics", "kube-state-metrics"),
    "registry-image": ("registry", "registry"),
}


def recipe(name: str, version: str) -> Recipe:
    """Return the recipe of one image."""
    folder, image = IMAGES[name]
    context = LAB / "images" / folder

    def make(job: Job) -> Result:
        images = ImageCache(job.cache)
        job.say("building")
        wanted = Wanted(image, version, context, base=job.needs[BASE].reference)
        record, _ = images.ensure(wanted, lambda command, env: job.run(command, env), job.key)
        return Result(version, reference=record.reference, record=str(images.record_path(image, job.key)))

    # `needs` adds the base image to the key; the inputs here are the image's own.
    return Recipe(
        name, version, make, Wanted(image, version, context).fingerprint, needs=(BASE,), there=_is_there
    )


def _is_there(result: Result) -> bool:
    """Return whether Docker still has the image, and the cache all its blobs."""
    name, _, key = result.record.rpartition("/")[2].removesuffix(".json").rpartition("-")
    return ImageCache(cache_root()).find(name, key) is not None and has_image(result.reference)
