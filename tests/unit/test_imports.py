"""Who imports whom: nodes get the standard library of Python 3.9 only, and no two rooms import each other.

Modules in library/nodes run on nodes, whose Python may be 3.9 (Debian 11) and has no packages of ours.
Ansible sends along what they import, so all of that has to work there too.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = "ansible.module_utils.metalworks"
ALLOWED = {"ansible.module_utils.basic"}
# What Python 3.9 lacks of the standard library of those that run this test, and what newer ones lack.
NEWER = {"tomllib", "compression", "annotationlib"}
GONE = {"asynchat", "asyncore", "binhex", "cgi", "cgitb", "crypt", "distutils", "imp", "smtpd", "telnetlib"}
STANDARD_LIBRARY = sys.stdlib_module_names - NEWER - GONE


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The file as Python 3.9 would read it."""
    return ast.parse(path.read_text(), str(path.relative_to(ROOT)), feature_version=(3, 9))


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """The full names that a file imports when it runs, also in functions: modules, or what stands in one."""
    return tuple(find_imports(path))


def find_imports(path: Path) -> Iterator[str]:
    package = [*path.relative_to(ROOT).with_suffix("").parts[:-1]]
    if package[:1] == ["module_utils"]:
        package = ["ansible", *package]
    waiting: list[ast.AST] = [parsed(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        # An import is a statement, and no expression holds one.
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]


def shared_file(name: str) -> Path | None:
    """The file of module_utils that a name means: a module, or what holds the name."""
    for dotted in (name, name.rpartition(".")[0]):
        place = ROOT / dotted.removeprefix("ansible.").replace(".", "/")
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if dotted.startswith(SHARED) and path.exists():
                return path
    return None


def closure(*paths: Path) -> set[Path]:
    """The files, and all of module_utils that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in imports(path) if (file := shared_file(name))]
    return found


ON_NODES = sorted(closure(*ROOT.glob("library/nodes/*.py")))
each_file_on_nodes = pytest.mark.parametrize("path", ON_NODES, ids=lambda path: str(path.relative_to(ROOT)))


def test_the_closure_is_followed_through_relative_imports() -> None:
    assert ROOT / "module_utils/metalworks/images/record.py" in ON_NODES
    assert ROOT / "module_utils/metalworks/common/files.py" in ON_NODES


@each_file_on_nodes
def test_a_file_on_nodes_imports_the_standard_library_only(path: Path) -> None:
    ours = [name for name in imports(path) if shared_file(name) or name.rpartition(".")[0] in ALLOWED]
    others = [name for name in imports(path) if name not in ours]
    assert [name for name in others if name.partition(".")[0] not in STANDARD_LIBRARY] == []


@each_file_on_nodes
def test_a_file_on_nodes_is_not_the_operators(path: Path) -> None:
    """Building, fetching, pushing and the cluster's API are the operator's: nodes need none of it."""
    room = path.relative_to(ROOT).parts[2] if path.is_relative_to(ROOT / "module_utils") else "nodes"
    assert room in {"nodes", "node", "common", "k3s"} or path.name in {"record.py", "__init__.py"}


@each_file_on_nodes
def test_a_file_on_nodes_evaluates_no_type_of_a_newer_python(path: Path) -> None:
    """`X | Y` between types is an error before Python 3.10, unless it is an annotation."""
    tree = parsed(path)
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        for outer in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if outer
        for inner in ast.walk(outer)
    }
    unions = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and id(node) not in annotations
        and any(is_type(side) for side in (node.left, node.right))
    ]
    assert unions == [], "write typing.Union or typing.Optional"
    if annotations:
        lazy = "__future__.annotations" in imports(path)
        assert lazy, "write `from __future__ import annotations`, with which no annotation is evaluated"


def is_type(node: ast.expr) -> bool:
    """Whether an operand of `|` looks like a type: None, int, list[int], a name like IPv4Network."""
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    if isinstance(node, ast.Constant):
        return node.value is None
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    builtin = {"int", "str", "bytes", "bool", "float", "list", "dict", "set", "frozenset", "tuple"}
    return name in builtin or (name[:1].isupper() and not name.isupper())


def test_files_on_nodes_use_nothing_newer_than_python_3_9() -> None:
    """Vermin knows which version each function, class, argument and piece of syntax came with."""
    vermin = Path(sys.executable).with_name("vermin")
    command = [vermin, "--target=3.9-", "--violations", "--no-tips", *ON_NODES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Rooms.


def room(path: Path) -> str:
    """The room of a file: a folder of module_utils/metalworks, or what stands at the top."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[1:3]) if parts[0] == "module_utils" else parts[0]


def room_of(name: str) -> str | None:
    """The room of what an import means; None for what is not ours."""
    name = name.removeprefix("ansible.")
    if name.startswith("module_utils.metalworks."):
        return "/".join(name.split(".")[1:3])
    top = name.partition(".")[0]
    return top if top in {"library", "plugins", "lab", "tools", "tests"} else None


def test_no_two_rooms_import_each_other() -> None:
    rooms: dict[str, set[str]] = {}
    for folder in ("module_utils", "library", "plugins", "lab", "tools"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            others = {other for name in imports(path) if (other := room_of(name))}
            rooms.setdefault(room(path), set()).update(others - {room(path)})
    assert "metalworks/common" in rooms["metalworks/k3s"]
    assert rooms["metalworks/common"] == set(), "what all rooms use imports none of them"
    assert not any("tests" in others for others in rooms.values())
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of rooms: {' -> '.join(reversed(error.args[1]))}")
