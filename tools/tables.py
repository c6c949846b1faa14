"""Options of roles and modules as Markdown tables, in Ansible's markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from module_utils.metalworks.common.yaml_text import read_yaml

MARKUP = re.compile(r"\b[CVOIBM]\(([^)]*)\)")


def specs(role: Path) -> dict[str, Any]:
    """Return a role's argument specifications, by entry point."""
    found: dict[str, Any] = read_yaml((role / "meta" / "argument_specs.yml").read_text())
    return dict(found["argument_specs"])


def texts(description: str | list[str]) -> list[str]:
    """Return the paragraphs of a description, which may be one text."""
    return description if isinstance(description, list) else [description]


def sentence(text: str | list[str]) -> str:
    """Return Ansible's documentation text as one Markdown table cell."""
    return MARKUP.sub(r"`\1`", " ".join(" ".join(texts(text)).split())).replace("|", r"\|")


def kind(option: dict[str, Any]) -> str:
    """Return an option's type with its elements and choices, as one table cell."""
    name = str(option.get("type", "str"))
    if name == "list" and "elements" in option:
        name = f"list of {option['elements']}"
    if "choices" in option:
        name += ": " + ", ".join(f"`{choice}`" for choice in option["choices"] if choice)
    return name


def default(option: dict[str, Any]) -> str:
    """Return an option's default as one table cell: as JSON, or as required, or empty."""
    if option.get("required"):
        return "**required**"
    # A bar would end the cell, in code as well.
    return f"`{json.dumps(option['default'])}`".replace("|", "\\|") if "default" in option else ""


def table(options: dict[str, Any], nested: str, title: str = "variable") -> list[str]:
    """Return a table with a row for each option; `nested` is the key that options have their own below."""
    return [f"| {title} | type | default | meaning |", "|---|---|---|---|", *_rows(options, nested)]


def _rows(options: dict[str, Any], nested: str, prefix: str = "") -> Iterator[str]:
    """Yield the rows, nested options under dotted names (`[]` marks the items of a list)."""
    for name, option in options.items():
        meaning = sentence(option.get("description", ""))
        yield f"| `{prefix}{name}` | {kind(option)} | {default(option)} | {meaning} |"
        items = "[]" if option.get("type") == "list" else ""
        yield from _rows(option.get(nested) or {}, nested, f"{prefix}{name}{items}.")
