"""Filters of the door: the pages of the platform, for the hub's values and the door's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.door.pages import (
    door_settings,
    egress,
    hidden,
    hub_roles,
    hub_services,
    page_secrets,
    pages_of,
    service_tokens,
)
from ansible.module_utils.metalworks.jupyterhub.wiring import base_url, inner_url, notebook_values


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "door_egress": egress,
            "door_hidden": hidden,
            "door_settings": door_settings,
            "hub_base_url": base_url,
            "hub_inner_url": inner_url,
            "notebook_values": notebook_values,
            "page_roles": hub_roles,
            "page_secrets": page_secrets,
            "page_services": hub_services,
            "page_tokens": service_tokens,
            "pages_of_parts": pages_of,
        }
