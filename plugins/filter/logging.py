"""Filters of the roles logging and journal_upload: sizes, images, logins and addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.images.names import split
from ansible.module_utils.metalworks.kubernetes.policies import in_namespace
from ansible.module_utils.metalworks.logging.logins import journal_url, logins
from ansible.module_utils.metalworks.logging.sizes import budget, flag, memory


def image(reference: str) -> dict[str, str]:
    """Return an image reference as the charts take it."""
    name, tag = split(reference)
    return {"repository": name, "tag": tag}


def pull_secrets(names: Iterable[str]) -> list[dict[str, str]]:
    """Return names of Secrets as a pod has them."""
    return [{"name": name} for name in names]


def namespaces(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the peers of a NetworkPolicy that are all pods of these namespaces."""
    return [in_namespace(name) for name in names]


def destinations(
    first: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]], buffer: str
) -> list[dict[str, Any]]:
    """Return the collector's destinations, each with its format and its buffer on the node's disk."""
    return [
        {"url": each["url"], "format": each.get("format") or "native", "maxDiskUsagePerURL": flag(buffer)}
        for each in (*first, *others)
    ]


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "logging_budget": budget,
            "logging_destinations": destinations,
            "logging_flag": flag,
            "logging_image": image,
            "logging_journal_url": journal_url,
            "logging_logins": logins,
            "logging_memory": memory,
            "logging_namespaces": namespaces,
            "logging_pull_secrets": pull_secrets,
        }
