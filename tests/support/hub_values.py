"""The values that the role hands to the chart, as an inventory with every input would have them."""

from __future__ import annotations

from typing import Any

from plugins.filter.helm_release import helm_values
from tests.support.roles import resolved

INPUTS: dict[str, Any] = {
    "jupyterhub_users": [{"name": "ada", "password": "first-programmer", "admin": True}],
    "jupyterhub_secrets": {
        "cookie_secret": "c" * 64,
        "crypt_key": "d" * 64,
        "proxy_token": "p" * 64,
        "api_token": "a" * 64,
    },
    "jupyterhub_images": {"hub": "example.test/hub:1", "proxy": f"example.test/proxy:2@sha256:{'0' * 64}"},
    "jupyterhub_profiles": [
        {"display_name": "Minimal", "slug": "minimal", "image": "example.test/minimal:3", "mem_limit": "2G"}
    ],
    "jupyterhub_registry": {},
}


def values(**given: Any) -> dict[str, Any]:
    """Return the values that Helm is given for these inputs."""
    found = resolved("jupyterhub", "__jupyterhub_values", **{**INPUTS, **given})
    return helm_values(found, "custom.chart", "e" * 64)
