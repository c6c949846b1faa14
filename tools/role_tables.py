#!/usr/bin/env python3
"""Write what the documentation takes from the code (`make docs`).

That is the table of inputs in each role's README, and the pages docs/reference/variables.md and modules.md.
With `--check` nothing is written: stale pages are named, and the exit code is 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import reference, tables  # noqa: E402 -- only now they can be found

BEGIN, END = "<!-- BEGIN_ANSIBLE_DOCS -->", "<!-- END_ANSIBLE_DOCS -->"


def section(specs: dict[str, Any]) -> str:
    """Return the generated part of a README."""
    lines = []
    for entry, spec in specs.items():
        options = spec.get("options") or {}
        title = "## Inputs" if entry == "main" else f"## Inputs of {entry}"
        lines += [title, "", *(tables.table(options, "options") if options else ["None."]), ""]
    return "\n".join(lines).rstrip() + "\n"


def render(role: Path) -> str:
    """Return the role's README as it should be."""
    readme = (role / "README.md").read_text()
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(
            f"{role / 'README.md'} lacks the markers {BEGIN} and {END}: add them where the inputs belong."
        )
    return f"{before}{begin}\n{section(tables.specs(role))}{end}{after}"


def pages() -> dict[Path, str]:
    """Return every page that is generated, or has a generated part, with the text that it should have."""
    found = (ROOT.glob(f"{room}/*/meta/argument_specs.yml") for room in ("roles", "lab/roles"))
    roles = [path.parents[1] for paths in found for path in paths]
    return {
        **{role / "README.md": render(role) for role in roles},
        ROOT / "docs/reference/variables.md": reference.variables(ROOT, roles),
        ROOT / "docs/reference/modules.md": reference.modules(ROOT, list(ROOT.glob("library/*/*.py"))),
    }


def stale() -> dict[Path, str]:
    """Return the pages that differ from what they should be, with the text that they should have."""
    return {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}


def main(arguments: list[str]) -> int:
    """Write the stale pages, or only name them. Return the exit code."""
    check, found = "--check" in arguments, stale()
    for path, text in found.items():
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
