"""Filters of the role helm_release: the values for Helm, its output without secrets, logins to registries."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.artifacts.cache import Fingerprint, files_below
from ansible.module_utils.metalworks.common.scrub import scrub
from ansible.module_utils.metalworks.kubernetes.chart import value_problems
from ansible.module_utils.metalworks.kubernetes.secrets import LOGIN

# What the namespace of each part calls the login to the registry.
PULL_SECRET = "metalworks-registry"


def helm_values(values: Mapping[str, Any], place: str, checksum: str) -> dict[str, Any]:
    """Return the values with the chart's checksum at a place such as `custom.chart`.

    Helm compares only the versions of charts. With the checksum, a changed chart of the same version is a
    change, too.
    """
    if not place or not checksum:
        return dict(values)
    # Values are not deep-copied: they may be templates that Ansible resolves when they are read, and a deep
    # copy of such a container would copy Ansible's plugin loader with it.
    key, _, rest = place.partition(".")
    return {**values, key: helm_values(values.get(key) or {}, rest, checksum) if rest else checksum}


def chart_problems(given: Mapping[str, Mapping[str, Any]], chart: str) -> list[str]:
    """Return what a chart does not take of the values in variables, {variable: values}."""
    return [sentence for name, values in given.items() for sentence in value_problems(name, values, chart)]


def folder_checksum(reference: str) -> str:
    """Return a hash of a chart that is a folder; nothing for another reference."""
    folder = Path(reference)
    return Fingerprint().files(folder, files_below(folder)).hex if folder.is_dir() else ""


def pull_login(registry: Mapping[str, Any]) -> dict[str, str]:
    """Return the login with which pods pull from a registry; empty if it needs none."""
    keys = ("address", "username", "password") if registry.get("username") else ()
    return {key: registry[key] for key in keys}


def pull_secret(login: Mapping[str, str], namespace: str) -> dict[str, Any]:
    """Return the Secret with a login, in the form of the module k8s_secrets.

    https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
    """
    user = {"username": login["username"], "password": login["password"]}
    encoded = base64.b64encode("{username}:{password}".format(**user).encode()).decode()
    content = json.dumps({"auths": {login["address"]: {**user, "auth": encoded}}}, sort_keys=True)
    return {"namespace": namespace, "name": PULL_SECRET, "data": {LOGIN: content}}


def pull_secret_names(login: Mapping[str, str]) -> list[str]:
    """Return the names of the Secrets with a login; none without one."""
    return [PULL_SECRET] if login else []


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "chart_problems": chart_problems,
            "folder_checksum": folder_checksum,
            "helm_values": helm_values,
            "pull_login": pull_login,
            "pull_secret": pull_secret,
            "pull_secret_names": pull_secret_names,
            "scrub": scrub,
        }
