"""What the values say that an operator gives to the hub's chart (`jupyterhub_values`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def value_at(values: Any, path: str) -> Any:
    """Return the value at a path of keys such as `a.b.c`, or None."""
    for key in path.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def walk(values: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each mapping inside of the values with its path, in which list entries are counted from 1."""
    if isinstance(values, Mapping):
        yield path, values
        for key, value in values.items():
            yield from walk(value, f"{path}.{key}" if path else str(key))
    elif isinstance(values, (list, tuple)):
        for number, value in enumerate(values, 1):
            yield from walk(value, f"{path}, entry {number}")


def other_authenticator(values: Any) -> str:
    """Return the authenticator that an operator's values set in place of ours; empty if they set none."""
    return str(value_at(values, "hub.config.JupyterHub.authenticator_class") or "")


def service_type(values: Any) -> str:
    """Return the type of the service at which the hub is reached. The role asks for a node port."""
    return str(value_at(values, "proxy.service.type") or "NodePort")


def has_node_port(values: Any) -> bool:
    """Return whether the hub is reached at `jupyterhub_node_port`."""
    return service_type(values) == "NodePort"
