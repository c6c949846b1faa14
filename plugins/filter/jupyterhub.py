"""Filters that turn the inputs of the role jupyterhub into Helm values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.common.addresses import in_url
from ansible.module_utils.metalworks.images.names import split, version_problem
from ansible.module_utils.metalworks.jupyterhub.tolerations import jupyterhub_tolerations
from ansible.module_utils.metalworks.jupyterhub.values import has_node_port, other_authenticator


def split_reference(reference: str) -> dict[str, str]:
    """Return an image reference as the chart takes it: name and tag. A digest stays at the end of the tag."""
    if problem := version_problem(reference):
        raise AnsibleFilterError(f"image {reference} {problem}")
    name, tag = split(reference)
    return {"name": name, "tag": tag}


def jupyterhub_image(reference: str) -> dict[str, str]:
    """Return the chart's value for an image. Without a reference the chart chooses the image."""
    return {**split_reference(reference), "pullPolicy": "IfNotPresent"} if reference else {}


def jupyterhub_profile_list(profiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the chart's `profileList` from the role's list of profiles."""
    return [profile_value(profile) for profile in profiles]


def profile_value(profile: dict[str, Any]) -> dict[str, Any]:
    """Return one entry of `profileList`: what users read, and the settings of KubeSpawner that it changes."""
    split_reference(profile["image"])
    limits = {
        key: profile[key]
        for key in ("cpu_limit", "cpu_guarantee", "mem_limit", "mem_guarantee")
        if profile.get(key)
    }
    value = {key: profile[key] for key in ("display_name", "slug", "description") if profile.get(key)}
    overrides = {"image": profile["image"], **limits, **(profile.get("overrides") or {})}
    return {**value, "default": bool(profile.get("default")), "kubespawner_override": overrides}


def jupyterhub_profiles(notebooks: list[dict[str, Any]], references: dict[str, str]) -> list[dict[str, Any]]:
    """Return the platform's notebooks in the form of jupyterhub_profiles, with their images' references."""
    return [
        {**{key: value for key, value in each.items() if key != "image"}, "image": references[each["slug"]]}
        for each in notebooks
    ]


def jupyterhub_without(items: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """Return the items without some of their keys."""
    return [{key: value for key, value in item.items() if key not in keys} for item in items]


def hub_node_port(values: dict[str, Any], port: int) -> int:
    """Return the hub's node port; 0 if the chart's values choose another type of service."""
    return int(port) if has_node_port(values) else 0


def hub_url(address: str, port: int, values: dict[str, Any]) -> str:
    """Return the hub's address at a node port; empty if only the operator can know it."""
    found = hub_node_port(values, port)
    return f"http://{in_url(address)}:{found}" if address and found else ""


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "jupyterhub_image": jupyterhub_image,
            "jupyterhub_other_authenticator": other_authenticator,
            "jupyterhub_profile_list": jupyterhub_profile_list,
            "jupyterhub_profiles": jupyterhub_profiles,
            "jupyterhub_tolerations": jupyterhub_tolerations,
            "jupyterhub_without": jupyterhub_without,
            "hub_node_port": hub_node_port,
            "hub_url": hub_url,
        }
