"""The images that each part of the platform needs, beside the notebooks that the hub's users choose from."""

from __future__ import annotations

from collections.abc import Iterable

# Part of the platform -> the names of its images -> the artifacts that they are.
PARTS = {"jupyterhub": {"hub": "hub-image", "proxy": "proxy-image"}}


def artifacts_of(parts: Iterable[str]) -> dict[str, str]:
    """Return the images of some parts: name -> artifact."""
    return {name: artifact for part in parts for name, artifact in PARTS.get(part, {}).items()}
