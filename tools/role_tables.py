#!/usr/bin/env python3
"""Write the table of inputs into each role's README, from its meta/argument_specs.yml.

`tools/role_tables.py` writes; with `--check` it only says which READMEs are stale and exits with 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- BEGIN_ANSIBLE_DOCS -->", "<!-- END_ANSIBLE_DOCS -->"
MARKUP = re.compile(r"\b[CVOIB]\(([^)]*)\)")


def sentence(text: str | list[str]) -> str:
    """Return a documentation text of Ansible as one cell of a Markdown table."""
    joined = " ".join(text) if isinstance(text, list) else text
    return MARKUP.sub(r"`\1`", " ".join(joined.split())).replace("|", r"\|")


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
    # A bar would end the cell even within backticks.
    return f"`{json.dumps(option['default'])}`".replace("|", "\\|") if "default" in option else ""


def rows(options: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a table row for each option, nested ones under dotted names (`[]` marks the items of a list)."""
    for name, option in options.items():
        description = sentence(option.get("description", ""))
        yield f"| `{prefix}{name}` | {kind(option)} | {default(option)} | {description} |"
        yield from rows(
            option.get("options", {}), f"{prefix}{name}{'[]' if option.get('type') == 'list' else ''}."
        )


def section(specs: dict[str, Any]) -> str:
    """Return the generated part of a README."""
    lines = []
    for entry, spec in specs.items():
        lines.append("## Inputs" if entry == "main" else f"## Inputs of {entry}")
        options = spec.get("options") or {}
        if options:
            lines += ["", "| variable | type | default | meaning |", "|---|---|---|---|", *rows(options), ""]
        else:
            lines += ["", "None.", ""]
    return "\n".join(lines).rstrip() + "\n"


def render(role: Path) -> str:
    """Return the role's README as it should be; exit if it lacks the markers."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    readme = (role / "README.md").read_text()
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(
            f"{role / 'README.md'} lacks the markers {BEGIN} and {END}: add them where the inputs belong."
        )
    return f"{before}{begin}\n{section(specs)}{end}{after}"


def stale(roles: list[Path]) -> list[Path]:
    """Return the READMEs of these roles that differ from what their argument_specs give."""
    return [role / "README.md" for role in roles if (role / "README.md").read_text() != render(role)]


def main(arguments: list[str]) -> int:
    """Write the stale READMEs, or only name them with `--check`. Return the exit code."""
    names = [name for name in arguments if name != "--check"]
    every = sorted(
        path.parents[1]
        for room in ("roles", "lab/roles")
        for path in ROOT.glob(f"{room}/*/meta/argument_specs.yml")
    )
    roles = [role for role in every if role.name in names or not names]
    for readme in stale(roles):
        print(f"{'stale' if '--check' in arguments else 'written'}: {readme.relative_to(ROOT)}")
        if "--check" not in arguments:
            readme.write_text(render(readme.parent))
    return 1 if "--check" in arguments and stale(roles) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
