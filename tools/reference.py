"""The pages of docs/reference that list every input of every role, and every module.

They come from meta/argument_specs.yml of the roles and from DOCUMENTATION and RETURN of the modules.
tools/role_tables.py writes them together with the tables of the roles' READMEs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments
from module_utils.metalworks.common.yaml_text import read_yaml
from tools import tables

NOTE = "<!-- Made by `make docs`: change the source, not this page. -->"
PLATFORM = "platform_defaults"  # its inputs are those of the platform as a whole, so they come first


def constant(path: Path, name: str) -> dict[str, Any]:
    """Return a constant of a module, read as YAML, with its documentation fragments; empty if it has none."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            page: dict[str, Any] = read_yaml(ast.literal_eval(node.value)) or {}
            if "extends_documentation_fragment" in page:
                add_fragments(page, str(path), fragment_loader, is_module=True)
            return page
    return {}


def variables(root: Path, roles: list[Path]) -> str:
    """Return the page of all variables: those of the platform, then those of each role."""
    lines = [
        "# Variables",
        NOTE,
        "",
        "What an inventory may set. A value that is not set has the default. Where the default is a",
        "template, the value follows from others, and few inventories set it.",
    ]
    for role in sorted(roles, key=lambda role: (role.name != PLATFORM, role.name)):
        specs = tables.specs(role)
        options: dict[str, Any] = {}
        for spec in specs.values():
            options.update(spec.get("options") or {})
        place = Path("../..") / role.relative_to(root) / "README.md"
        sentence = tables.sentence(next(iter(specs.values()))["short_description"])
        title = "The platform" if role.name == PLATFORM else f"Role {role.name}"
        lines += ["", f"## {title}", f"{sentence} ([{role.name}]({place.as_posix()})).", ""]
        lines += tables.table(options, "options") if options else ["No inputs."]
    return "\n".join(lines) + "\n"


def modules(root: Path, paths: list[Path]) -> str:
    """Return the page of all modules, by subject."""
    lines = [
        "# Modules",
        NOTE,
        "",
        "What the playbooks and roles are made of. `ansible-doc NAME` shows examples.",
    ]
    subject = ""
    for path in sorted(paths):
        if path.parent.name != subject:
            subject = path.parent.name
            lines += ["", f"## {subject.capitalize()}"]
        lines += ["", *module(root, path)]
    return "\n".join(lines) + "\n"


def module(root: Path, path: Path) -> Iterator[str]:
    """Yield one module's lines: what it does, its options, and what it returns."""
    page, returned = constant(path, "DOCUMENTATION"), constant(path, "RETURN")
    place = Path("../..") / path.relative_to(root)
    yield f"### {path.stem}"
    yield f"{tables.sentence(page['short_description'])} ([source]({place.as_posix()}))."
    yield ""
    yield from (f"- {tables.sentence(text)}" for text in tables.texts(page["description"]))
    if page.get("options"):
        yield from ("", *tables.table(page["options"], "suboptions", "option"))
    if returned:
        yield from ("", "| returned | type | when | meaning |", "|---|---|---|---|")
        for name, value in returned.items():
            meaning = tables.sentence(value["description"])
            yield f"| `{name}` | {tables.kind(value)} | {tables.sentence(value['returned'])} | {meaning} |"
