"""Options become rows of a table, nested ones too, and nothing in a cell ends it."""

from __future__ import annotations

from pathlib import Path

from tools import reference, tables

OPTIONS = {
    "registry": {
        "description": ["Where images go.", "See V(a|b) and M(image_push)."],
        "type": "dict",
        "default": {},
        "options": {"address": {"description": "Host and port.", "required": True}},
    },
    "users": {
        "type": "list",
        "elements": "dict",
        "description": "Who logs in.",
        "options": {"kind": {"choices": ["person", "robot"], "default": "x|y", "description": "What it is."}},
    },
}
MODULE = '''
DOCUMENTATION = r"""
short_description: Make a thing
description: It is made.
extends_documentation_fragment: [kubernetes_api]
options: {size: {type: int, description: How large., suboptions: {unit: {description: Of what.}}}}
"""
RETURN = r"""
made: {type: bool, returned: always, description: Whether it was made.}
"""
'''


def test_each_option_has_a_row() -> None:
    assert tables.table(OPTIONS, "options")[2:] == [
        r"| `registry` | dict | `{}` | Where images go. See `a\|b` and `image_push`. |",
        "| `registry.address` | str | **required** | Host and port. |",
        "| `users` | list of dict |  | Who logs in. |",
        r'| `users[].kind` | str: `person`, `robot` | `"x\|y"` | What it is. |',
    ]


def test_a_modules_page_has_options_of_its_fragments_and_what_it_returns(tmp_path: Path) -> None:
    (tmp_path / "library" / "things").mkdir(parents=True)
    path = tmp_path / "library" / "things" / "thing.py"
    path.write_text(MODULE)
    page = reference.modules(tmp_path, [path])
    assert (
        "## Things\n\n### thing\nMake a thing ([source](../../library/things/thing.py)).\n\n- It is made.\n"
        in page
    )
    assert "| `size.unit` | str |  | Of what. |" in page
    assert "| `kubeconfig` | " in page
    assert "| `made` | bool | always | Whether it was made. |" in page
