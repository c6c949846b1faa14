"""The names of images: the placeholder that stands for a registry, and what a registry makes of it."""

from __future__ import annotations

# The host part of the name of an image that is made here. No registry has this name, so nodes never pull
# such an image: it is sent to them, or pushed to the operator's registry under that registry's name.
PLACEHOLDER_HOST = "metalworks.local"
# Where images go in a registry, if the operator names no place.
DEFAULT_REPOSITORY = "metalworks"


def is_made_here(reference: str) -> bool:
    """Tell whether an image has the placeholder where others have a registry."""
    return reference.startswith(f"{PLACEHOLDER_HOST}/")


def in_registry(reference: str, address: str, repository: str) -> str:
    """Return the name of an image in a registry: its own host gives way to the registry's address.

    `repository` is the place in the registry under which images go; empty means its root.
    """
    path = reference.partition("/")[2]
    return "/".join(part for part in (address, repository, path) if part)


def for_pods(reference: str, address: str, repository: str) -> str:
    """Return the name that pods use when there is a registry: only images that are made here are pushed."""
    return in_registry(reference, address, repository) if is_made_here(reference) else reference


def version_problem(reference: str) -> str | None:
    """Return why a reference names no version in a tag, or None; the sentence follows the reference.

    The hub's chart takes images as a name and a tag, so that a digest alone is not enough.
    """
    _, colon, tag = reference.partition("@")[0].rpartition(":")
    if colon and "/" not in tag and tag != "latest":
        return None
    return "names no version, so tomorrow's server would be another one; write a tag"


def split(reference: str) -> tuple[str, str]:
    """Return the name and the tag of a reference. A digest stays at the end of the tag, as charts take it."""
    readable, at, digest = reference.partition("@")
    name, _, tag = readable.rpartition(":")
    return name, tag + at + digest


def by_digest(reference: str) -> str:
    """Return a name with a digest without its tag. The digest alone decides, and skopeo refuses both."""
    readable, at, digest = reference.partition("@")
    return split(readable)[0] + at + digest if ":" in readable.rpartition("/")[2] else reference


def pulled_name(reference: str) -> str:
    """Return the name that an image of a registry gets in the Docker of this computer, by its digest."""
    path, _, digest = by_digest(reference).partition("@")
    return f"{PLACEHOLDER_HOST}/{path.rpartition('/')[2]}:{digest.replace(':', '-')[:23]}"
