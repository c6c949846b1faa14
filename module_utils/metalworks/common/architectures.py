"""What makers call an architecture, by what machines call it (`uname -m`, also that of macOS)."""

from __future__ import annotations

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PUBLISHED = tuple(dict.fromkeys(ARCHITECTURES.values()))  # what k3s, helm and images are published for


def architecture(machine: str) -> str:
    """Return the makers' name; a machine for which they have none keeps its own."""
    return ARCHITECTURES.get(machine, machine)
