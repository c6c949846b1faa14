"""Merge one context into a kubeconfig or take it out; everything else stays as it is."""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

try:
    import yaml

    HAS_YAML = True
except ImportError:  # the module reports it
    HAS_YAML = False

LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
SECRET_KEYS = (
    "client-key-data",
    "client-certificate-data",
    "token",
    "password",
    "certificate-authority-data",
)
MASK = "********"


class KubeconfigError(Exception):
    """A kubeconfig cannot be read or merged; the message says why."""


@dataclass(frozen=True)
class Context:
    """A context with its cluster and user, in the kubeconfig's form."""

    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    namespace: str | None = None


def parse(text: str, path: str) -> dict[str, Any]:
    """Return the kubeconfig as a mapping; KubeconfigError says what is wrong with the file."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"{path}{where} is not YAML; repair it or move it away") from error
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise KubeconfigError(f"{path} is not a kubeconfig (no mapping); move it away")
    for name in LISTS:
        entries = found.get(name) or []
        named = isinstance(entries, list) and all(
            isinstance(each, dict) and "name" in each for each in entries
        )
        if not named:
            raise KubeconfigError(f"{path}: {name} is not a list of named entries; repair it or move it away")
    return found


def from_source(name: str, source: str, server: str | None) -> Context:
    """Return the current context of a k3s.yaml (or any kubeconfig) under another name and address."""
    config = parse(source, "the source")
    current = config.get("current-context")
    context = _entry(config, "contexts", current)
    if context is None:
        raise KubeconfigError(
            "the source has no current context; give a kubeconfig as k3s writes it (k3s.yaml)"
        )
    cluster = _entry(config, "clusters", context.get("cluster"))
    user = _entry(config, "users", context.get("user"))
    if cluster is None or user is None:
        raise KubeconfigError(
            f"the source's context {current!r} names a cluster or user that it does not have"
        )
    return Context(
        name, {**cluster, **({"server": server} if server else {})}, user, context.get("namespace")
    )


def from_parts(name: str, server: str, ca: str, cert: str, key: str) -> Context:
    """Return a context made of an address and PEM texts."""
    return Context(
        name,
        {"certificate-authority-data": _encoded(ca), "server": server},
        {"client-certificate-data": _encoded(cert), "client-key-data": _encoded(key)},
    )


def _encoded(text: str) -> str:
    """Return PEM text in base64, as kubeconfigs hold it; a text in base64 is returned as it is."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return base64.b64encode(text.encode()).decode()
    return text


def merge(found: Mapping[str, Any], wanted: Context, current: bool) -> dict[str, Any]:
    """Return the kubeconfig with the context in it.

    `current` selects it only if no context is selected yet.
    """
    config = copy.deepcopy(dict(found))
    config.setdefault("apiVersion", "v1")
    config.setdefault("kind", "Config")
    context = {"cluster": wanted.name, "user": wanted.name}
    if wanted.namespace:
        context["namespace"] = wanted.namespace
    _put(config, "clusters", wanted.name, dict(wanted.cluster))
    # The operator may have chosen a namespace for the context. It stays.
    before = _entry(config, "contexts", wanted.name) or {}
    _put(config, "contexts", wanted.name, {**before, **context})
    _put(config, "users", wanted.name, dict(wanted.user))
    if current and not config.get("current-context"):
        config["current-context"] = wanted.name
    return config


def remove(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the kubeconfig without the context, and without a cluster and user that only it used."""
    config = copy.deepcopy(dict(found))
    rest = [each for each in config.get("contexts") or [] if each["name"] != name]
    for kind, singular in LISTS.items():
        needed = {(each.get("context") or {}).get(singular) for each in rest}
        if config.get(kind):
            gone = {name} if kind == "contexts" else {name} - needed
            config[kind] = [each for each in config[kind] if each["name"] not in gone]
    if config.get("current-context") == name:
        config["current-context"] = ""
    return config


def is_shell(config: Mapping[str, Any]) -> bool:
    """Return whether the kubeconfig has no cluster, user or context left."""
    return not _contents(config)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two kubeconfigs are equal but for the selected context."""
    return _contents(one) == _contents(other)


def masked(config: Mapping[str, Any]) -> str:
    """Return the kubeconfig as text for a diff, without any key, certificate or password."""
    config = copy.deepcopy(dict(config))
    for kind, singular in LISTS.items():
        for each in config.get(kind) or []:
            inner = each.get(singular)
            for key in SECRET_KEYS:
                if isinstance(inner, dict) and inner.get(key):
                    inner[key] = MASK
    return dump(config)


def dump(config: Mapping[str, Any]) -> str:
    """Return the file's text; keys keep their order."""
    text: str = yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=False, width=1 << 20)
    return text


def _contents(config: Mapping[str, Any]) -> dict[str, Any]:
    shell = ("apiVersion", "kind", "current-context")
    return {key: value for key, value in config.items() if key not in shell and value not in (None, [], {})}


def _entry(config: Mapping[str, Any], kind: str, name: Any) -> dict[str, Any] | None:
    for each in config.get(kind) or []:
        if each["name"] == name:
            inner = each.get(LISTS[kind])
            return dict(inner) if isinstance(inner, dict) else {}
    return None


def _put(config: dict[str, Any], kind: str, name: str, value: dict[str, Any]) -> None:
    entries = config.get(kind) or []
    config[kind] = entries
    for each in entries:
        if each["name"] == name:
            each[LISTS[kind]] = value
            return
    entries.append({LISTS[kind]: value, "name": name})
