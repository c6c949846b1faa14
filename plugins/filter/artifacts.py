"""Filters that read the catalogue as the module artifact does, where nothing is to be fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible finds a project's module_utils for what it sends to a node; filters run here and share them.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.artifacts.rules import merged, shape_problems
from ansible.module_utils.metalworks.common.architectures import architecture


def artifact_catalogue(entries: Mapping[str, Any], overrides: Any = None) -> dict[str, Any]:
    """The catalogue with an inventory's entries over it; none of them where preflight refuses their shape."""
    said = overrides or {}
    found: dict[str, Any] = merged(entries, {} if any(shape_problems(entries, said)) else said)
    return found


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self) -> dict[str, Any]:
        return {"architecture": architecture, "artifact_catalogue": artifact_catalogue}
