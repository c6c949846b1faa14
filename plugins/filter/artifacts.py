"""Filters that read the catalogue without fetching anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.artifacts.rules import merged, shape_problems
from ansible.module_utils.metalworks.common.architectures import architecture
from ansible.module_utils.metalworks.common.yaml_text import read_yaml

CATALOGUE = Path(__file__).resolve().parents[2] / "artifacts.yml"


@cache
def published() -> Mapping[str, Any]:
    """Return the entries of artifacts.yml as they are written."""
    entries: Mapping[str, Any] = read_yaml(CATALOGUE.read_text())["artifacts"]
    return entries


def artifact_catalogue(overrides: Any = None) -> dict[str, Any]:
    """Return artifacts.yml with an inventory's `metalworks_artifacts` merged over it.

    Overrides that cannot be merged are left out, so that preflight can run and report them.
    """
    entries, given = published(), overrides or {}
    found: dict[str, Any] = merged(entries, {} if any(shape_problems(entries, given)) else given)
    return found


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {"architecture": architecture, "artifact_catalogue": artifact_catalogue}
