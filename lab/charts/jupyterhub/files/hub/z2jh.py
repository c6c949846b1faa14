"""Read the chart's values and secrets from where they are mounted.

Named as upstream's helper module, with the same functions, so that hub.extraConfig may import it on either
chart.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ETC = Path("/usr/local/etc/jupyterhub")


@cache
def read_values() -> dict[str, Any]:
    """Return the chart's values as a nested dictionary."""
    values: dict[str, Any] = yaml.safe_load((ETC / "secret" / "values.yaml").read_text(encoding="utf-8"))
    return values


def get_config(key: str, default: Any = None) -> Any:
    """Return a value by its dotted path, or the default if the path does not exist or its value is empty."""
    value: Any = read_values()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def get_secret_value(key: str, default: str | None = None) -> str | None:
    """Return a key of the Secret `hub`."""
    path = ETC / "secret" / key
    return path.read_text(encoding="utf-8") if path.is_file() else default


def set_config_if_not_none(section: Any, trait: str, key: str) -> None:
    """Set a trait to a value. If there is no value, the trait keeps its own default."""
    value = get_config(key)
    if value is not None:
        setattr(section, trait, value)
