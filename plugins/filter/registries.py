"""The filter that brings the operator's own registry into what nodes are told of registries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible finds a project's module_utils for what it sends to a node; filters run here and share them.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.k3s.registries import with_own


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self) -> dict[str, Any]:
        return {"with_own_registry": with_own}
