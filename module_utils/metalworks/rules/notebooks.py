"""Rules for the images that users can choose, and for the limits of their servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.kubernetes_names import is_label
from ..common.suggestions import did_you_mean
from ..images.names import version_problem
from ..images.parts import built_images, images_of, origin_problem, platform_images
from ..jupyterhub.sizes import cpu_problem, memory_bytes, memory_problem
from ..jupyterhub.values import value_at
from .platform import Platform

LISTS = ("metalworks_notebooks", "jupyterhub_profiles")
MEMORY, PROCESSORS = ("mem_limit", "mem_guarantee"), ("cpu_limit", "cpu_guarantee")

Choice = Mapping[str, Any]


def notebook_choices(platform: Platform) -> Iterator[str]:
    """Refuse an empty offer, two choices with the same name, and more than one default."""
    taken = {image["name"] for image in platform_images([], platform.parts)}
    for variable, found in _choices(platform):
        if not found:
            yield f"{variable} is empty, so that nobody could start a server: write at least one choice"
        slugs = [choice.get("slug", "") for choice in found]
        for slug, count in Counter(map(str, slugs)).items():
            if not is_label(slug):
                yield (
                    f"{variable} has the slug {slug!r}: write small letters, digits and '-', as in "
                    "'data-science'"
                )
            if slug in taken and variable == "metalworks_notebooks":
                yield f"{variable} has the slug {slug!r}, which is an image of the platform's own: rename it"
            if count > 1:
                yield f"{variable} lists the slug {slug!r} {count} times: give each choice one of its own"
        chosen = [_name(variable, choice) for choice in found if choice.get("default")]
        if len(chosen) > 1:
            yield f"{variable} has {len(chosen)} defaults ({', '.join(chosen)}): keep default: true on one"


def notebook_images(platform: Platform) -> Iterator[str]:
    """Refuse images without an origin or without a version."""
    artifacts = platform.catalogue
    for variable, found in _choices(platform):
        for choice in found:
            where, image = f"{variable}, choice {_name(variable, choice)!r}", choice.get("image")
            if variable == "jupyterhub_profiles":
                yield from _version_problems(where, str(image))
            else:
                yield from _origin_problems(where, image, artifacts)


def notebook_sizes(platform: Platform) -> Iterator[str]:
    """Refuse sizes that the spawner would refuse when a user starts a server for the first time."""
    for variable, found in _choices(platform):
        for choice in found:
            limits = {**choice, **(choice.get("overrides") or {})}
            for key in (*MEMORY, *PROCESSORS):
                value = limits.get(key)
                problem = (
                    (memory_problem if key in MEMORY else cpu_problem)(value) if value is not None else None
                )
                if problem:
                    yield f"{variable}, choice {_name(variable, choice)!r}: {key} {problem}"


def notebook_guarantees(platform: Platform) -> Iterator[str]:
    """Refuse a guarantee above its limit, with which Kubernetes refuses the pod."""
    for variable, found in _choices(platform):
        for choice in found:
            limits = {**choice, **(choice.get("overrides") or {})}
            for sentence in above_the_limit(platform, limits):
                yield f"{variable}, choice {_name(variable, choice)!r}: {sentence}"


def images_for_an_existing_cluster(platform: Platform) -> Iterator[str]:
    """Refuse images that are built here for an existing cluster without a registry."""
    if platform.kind != "existing" or platform.values["metalworks_registry"]:
        return
    built = built_here(platform)
    if built:
        yield (
            f"images are built here ({', '.join(built)}), and only a registry brings them to this cluster: "
            f"name one in metalworks_registry, or build none: {how_not_to_build(platform)}"
        )


OPTIONAL = (images_for_an_existing_cluster,)
PART = "jupyterhub"


def above_the_limit(platform: Platform, own: Mapping[str, Any]) -> Iterator[str]:
    """Yield guarantees above their limits for servers with these settings of the spawner.

    What they lack comes from the chart's values and from the role's defaults, in this order. Without any
    settings, those alone are judged.
    """
    values = platform.values["jupyterhub_values"]
    for kind, key, unit in (("mem", "memory", memory_bytes), ("cpu", "cpu", _number)):
        least, most = f"{kind}_guarantee", f"{kind}_limit"
        guarantees = {
            least: own.get(least),
            f"singleuser.{key}.guarantee": value_at(values, f"singleuser.{key}.guarantee"),
            f"jupyterhub_{least}": platform.values[f"jupyterhub_{least}"],
        }
        limits = {most: own.get(most), f"singleuser.{key}.limit": value_at(values, f"singleuser.{key}.limit")}
        guarantee, limit = _first(guarantees), _first(limits)
        if not limit[0] or (own and not (own.get(least) or own.get(most))):
            continue
        if (unit(guarantee[1]) or 0) > (unit(limit[1]) or float("inf")):
            yield (
                f"{guarantee[0]} {guarantee[1]} is more than {limit[0]} {limit[1]}: write a {least} that is "
                "not above the limit"
            )


def _first(found: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the first name that has a value, with it."""
    return next(((name, value) for name, value in found.items() if value), ("", None))


def built_here(platform: Platform) -> list[str]:
    """Return the names of the images that are built on this computer; those without an origin are not."""
    offered = [
        each for each in platform.values["metalworks_notebooks"] if isinstance(each.get("image"), Mapping)
    ]
    return built_images(platform_images(offered, platform.parts), platform.source)


def how_not_to_build(platform: Platform) -> str:
    """Return what to write so that no image is built on this computer."""
    offered, parts = _built_anyway(platform)
    ways = ["write metalworks_artifact_source: upstream"] if platform.source != "upstream" else []
    ways += ["let metalworks_notebooks name published images only"] if offered else []
    if parts:
        rest = ", ".join(part for part in platform.parts if part not in parts)
        ways.append(f"leave out the parts whose images are not published (metalworks_parts: [{rest}])")
    return ", and ".join(ways)


def _built_anyway(platform: Platform) -> tuple[list[str], list[str]]:
    """Return the notebooks and the parts that have images which nobody publishes."""
    offered = [
        str(each.get("slug"))
        for each in platform.values["metalworks_notebooks"]
        if isinstance(each.get("image"), Mapping) and "context" in each["image"]
    ]
    return offered, [part for part in platform.parts if built_images(images_of(part), "upstream")]


def _choices(platform: Platform) -> Iterator[tuple[str, list[Choice]]]:
    """Return all choices with the variables that hold them: metalworks_notebooks and jupyterhub_profiles."""
    for variable in LISTS:
        if variable == LISTS[0] or platform.gives(variable):
            yield variable, [choice for choice in platform.values[variable] if isinstance(choice, Mapping)]


def _name(variable: str, choice: Choice) -> str:
    """Return the name of a choice for messages: its slug, or the name that users read."""
    return str(choice.get("slug" if variable == LISTS[0] else "display_name", ""))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _version_problems(where: str, image: str) -> Iterator[str]:
    if problem := version_problem(image):
        yield f"{where}: image {image} {problem}"


def _origin_problems(where: str, image: Any, artifacts: Mapping[str, Any]) -> Iterator[str]:
    if problem := origin_problem(image):
        yield f"{where}: image {problem}"
        return
    for key in ("artifact", "base_artifact"):
        if key in image and image[key] not in artifacts:
            yield f"{where}: artifacts.yml has no {image[key]}{did_you_mean(image[key], artifacts)}"
