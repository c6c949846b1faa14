"""The options of a module, read from its own page, so that they are written once.

Modules that run on nodes write them twice, because PyYAML need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .yaml_text import read_yaml

# What Ansible checks. `no_log` is no word of Ansible's documentation, and ansible-doc shows it all the same.
CHECKED = ("type", "elements", "required", "default", "choices", "no_log")


def options_of(page: str) -> dict[str, Any]:
    """Return a module's options as its argument_spec. `page` is its DOCUMENTATION, without fragments."""
    return _checked(read_yaml(page)["options"])


def _checked(options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: {
            **{key: option[key] for key in CHECKED if key in option},
            **({"options": _checked(option["suboptions"])} if "suboptions" in option else {}),
        }
        for name, option in options.items()
    }
