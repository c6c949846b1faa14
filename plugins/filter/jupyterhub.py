"""Filters that turn the inputs of the role jupyterhub into Helm values."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError


def split_reference(reference: str) -> dict[str, str]:
    """Return an image reference as the chart takes it: name and tag. A digest stays at the end of the tag."""
    readable, at, digest = reference.partition("@")
    name, colon, tag = readable.rpartition(":")
    if not colon or "/" in tag:
        raise AnsibleFilterError(f"'{reference}' is no image reference with a tag, such as registry/name:1.0")
    if tag == "latest":
        raise AnsibleFilterError(f"'{reference}': the tag latest is pulled at each start; name a version")
    return {"name": name, "tag": tag + at + digest}


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


def jupyterhub_without(items: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """Return the items without some of their keys."""
    return [{key: value for key, value in item.items() if key not in keys} for item in items]


# The taints that the pods of zero-to-jupyterhub tolerate by themselves: scheduling.corePods.tolerations and
# scheduling.userPods.tolerations in its values.yaml.
DEDICATED_KEYS = ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")


def jupyterhub_tolerations(values: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return which taints the pods of a hub tolerate, for the values that an operator gives to its chart."""

    def given(*path: str) -> list[dict[str, Any]] | None:
        place: Any = values
        for key in path:
            place = (place or {}).get(key)
        return place if isinstance(place, list) else None

    def of_all(kind: str, value: str) -> list[dict[str, Any]]:
        found = given("scheduling", kind, "tolerations")
        own = [{"key": key, "value": value, "effect": "NoSchedule"} for key in DEDICATED_KEYS]
        return own if found is None else found

    core = of_all("corePods", "core")
    return {
        "the hub": [*core, *(given("hub", "tolerations") or [])],
        "the proxy": [*core, *(given("proxy", "chp", "tolerations") or [])],
        "the users' servers": [
            *of_all("userPods", "user"),
            *(given("singleuser", "extraTolerations") or []),
        ],
    }


def jupyterhub_scrub(text: str, secrets: dict[str, str]) -> str:
    """Return a program's output with each secret replaced by its name."""
    for name, secret in secrets.items():
        text = text.replace(secret, f"<{name}>")
    return text


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "jupyterhub_image": jupyterhub_image,
            "jupyterhub_profile_list": jupyterhub_profile_list,
            "jupyterhub_scrub": jupyterhub_scrub,
            "jupyterhub_tolerations": jupyterhub_tolerations,
            "jupyterhub_without": jupyterhub_without,
        }
