"""The images of the platform: those of each part, and the notebooks that the hub's users choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..common.yaml_text import read_yaml

Image = Mapping[str, Any]

ROLES = Path(__file__).resolve().parents[3] / "roles"
# The part whose users choose from metalworks_notebooks.
NOTEBOOKS = "jupyterhub"


@cache
def images_of(part: str) -> tuple[Image, ...]:
    """Return the images of a part, as the file files/images.yml of its role lists them; none without it."""
    path = ROLES / part / "files" / "images.yml"
    return tuple(read_yaml(path.read_text())) if path.exists() else ()


def origin_problem(image: Any) -> str | None:
    """Return what is wrong with where an image comes from, or None; the sentence follows its name."""
    if isinstance(image, Mapping) and ("artifact" in image) != ("context" in image):
        return None
    return "needs either artifact (a name in artifacts.yml) or context (a folder with a Dockerfile), not both"


def platform_images(notebooks: Iterable[Image], parts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the images that the parts of the platform need, in the form of container_images_list."""
    parts = list(parts)
    programs = [dict(image) for part in parts for image in images_of(part)]
    offered = [{"name": each.get("slug", ""), **each["image"]} for each in notebooks if NOTEBOOKS in parts]
    return programs + offered


def built_images(images: Iterable[Image], source: str) -> list[str]:
    """Return the names of the images that are built on this computer if artifacts come from `source`."""
    return [each["name"] for each in images if "context" in each or source != "upstream"]
