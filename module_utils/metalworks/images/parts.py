"""The images of the platform: those of each part, and the notebooks that the hub's users choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Image = Mapping[str, Any]

# Part of the platform -> the names of its images -> the artifacts that they are.
PARTS = {
    "jupyterhub": {"hub": "hub-image", "proxy": "proxy-image"},
    "object_store": {
        "object-store": "object-store-image",
        "object-store-front": "object-store-front-image",
    },
}


def platform_images(notebooks: Iterable[Image], parts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the images that the parts of the platform need, in the form of container_images_list."""
    parts = list(parts)
    programs = [
        {"name": name, "artifact": artifact}
        for part in parts
        for name, artifact in PARTS.get(part, {}).items()
    ]
    offered = [{"name": each.get("slug", ""), **each["image"]} for each in notebooks if "jupyterhub" in parts]
    return programs + offered


def built_images(images: Iterable[Image], source: str) -> list[str]:
    """Return the names of the images that are built on this computer if artifacts come from `source`."""
    return [each["name"] for each in images if "context" in each or source != "upstream"]
