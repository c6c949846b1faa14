"""Filters of the role container_images: the images of a platform, and their names for pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.images.names import DEFAULT_REPOSITORY, for_pods
from ansible.module_utils.metalworks.images.parts import built_images, origin_problem, platform_images

Image = Mapping[str, Any]


def image_problems(images: Iterable[Image]) -> list[str]:
    """Return what is wrong with a container_images_list, as sentences."""
    images = list(images)
    names = [each["name"] for each in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    return [
        *(
            f"container_images_list: {each['name']} {problem}"
            for each in images
            if (problem := origin_problem(each))
        ),
        *(f"container_images_list: {name} is the name of two images; rename one of them" for name in twice),
    ]


def image_artifacts(images: Sequence[Image]) -> list[str]:
    """Return the artifacts to fetch, each once: images of the catalogue, and bases of others."""
    wanted = [each.get(key) for key in ("artifact", "base_artifact") for each in images]
    return list(dict.fromkeys(name for name in wanted if name))


def delivered_images(
    images: Iterable[Image],
    fetched: Mapping[str, Mapping[str, Any]],
    built: Iterable[Mapping[str, Any]],
    registry: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the images' names for pods (`references`), and the `records` of those that nodes do not pull.

    `built` has the names of those from folders on this computer.

    `fetched` has results by artifacts' names; `built` has those of the loop over folders with a Dockerfile.
    """
    by_name = {each["item"]["name"]: each for each in built}
    results = {
        each["name"]: fetched[each["artifact"]] if "artifact" in each else by_name[each["name"]]
        for each in images
    }
    return {
        "references": {name: pod_name(each["reference"], registry) for name, each in results.items()},
        "built": {name: each["reference"] for name, each in by_name.items()},
        "records": [each["record"] for each in results.values() if each["record"]],
    }


def pod_name(reference: str, registry: Mapping[str, Any]) -> str:
    """Return the name of an image for pods.

    In a registry, an image that was built here has the registry's name.
    """
    if not registry:
        return reference
    name: str = for_pods(reference, registry["address"], registry.get("repository", DEFAULT_REPOSITORY))
    return name


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "built_images": built_images,
            "delivered_images": delivered_images,
            "image_artifacts": image_artifacts,
            "image_problems": image_problems,
            "platform_images": platform_images,
        }
