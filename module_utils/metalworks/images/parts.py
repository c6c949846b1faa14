"""The images of the platform: those of each part, and the notebooks that the hub's users choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Image = Mapping[str, Any]

# Part of the platform -> its images, in the form of container_images_list.
PARTS: dict[str, list[Image]] = {
    "jupyterhub": [
        {"name": "hub", "artifact": "hub-image"},
        {"name": "proxy", "artifact": "proxy-image"},
    ],
    "object_store": [
        {"name": "object-store", "artifact": "object-store-image"},
        {"name": "object-store-front", "artifact": "object-store-front-image"},
    ],
    "mlflow": [
        {"name": "mlflow", "context": "files/mlflow", "version": "3.17.2", "base_artifact": "base-image"}
    ],
}


def platform_images(notebooks: Iterable[Image], parts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the images that the parts of the platform need, in the form of container_images_list."""
    parts = list(parts)
    programs = [dict(image) for part in parts for image in PARTS.get(part, [])]
    offered = [{"name": each.get("slug", ""), **each["image"]} for each in notebooks if "jupyterhub" in parts]
    return programs + offered


def built_images(images: Iterable[Image], source: str) -> list[str]:
    """Return the names of the images that are built on this computer if artifacts come from `source`."""
    return [each["name"] for each in images if "context" in each or source != "upstream"]
