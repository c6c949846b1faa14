"""Cases of tables say only in what they differ from a base."""

from __future__ import annotations

from typing import Any


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return the base with the change in it, dictionaries within dictionaries too; null takes a key out."""
    result = dict(base)
    for key, value in change.items():
        if value is None:
            result.pop(key)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
