"""Names of architectures: from `uname -m` (of Linux and macOS) to the names in published files."""

from __future__ import annotations

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PUBLISHED = tuple(dict.fromkeys(ARCHITECTURES.values()))  # those of k3s and helm


def architecture(machine: str) -> str:
    """Return the name in published files; an unknown architecture is returned as it is."""
    return ARCHITECTURES.get(machine, machine)
