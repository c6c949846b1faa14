"""What CONTRIBUTING.md promises of every role, module and scenario. A broken promise is named by file."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments
from tools import role_tables

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(
    path.parents[1]
    for roles in ("roles", "lab/roles")
    for path in ROOT.glob(f"{roles}/*/meta/argument_specs.yml")
)
# It holds values for others, so it has no tasks, and its inputs have the platform's names.
PLATFORM = "platform_defaults"
MODULES = sorted(path for path in ROOT.glob("library/*/*.py"))
LONGEST_TABLE_OF_CONTENTS = 40
# Upstream's own addresses stand in artifacts.yml, where they are one reviewed list.
REGISTRY_HOST = re.compile(
    r"\b(ghcr\.io|quay\.io|docker\.io|registry\.k8s\.io|gcr\.io|pypi\.org|proxy\.golang\.org|registry\.npmjs\.org|deb\.debian\.org)/"
)
# Documentation may name them. So may lab/charts, whose defaults are those of the chart that it stands in for.
ACTING = {"files", "inventories", "module_utils", "playbooks", "plugins", "roles"}
SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]|AKIA[0-9A-Z]{16}|ghp_\w{36}")

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
each_acting_role = pytest.mark.parametrize(
    "role", [role for role in ROLES if role.name != PLATFORM], ids=lambda role: role.name
)
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.CSafeLoader) if path.exists() else None


@functools.cache
def tracked() -> dict[Path, str]:
    """Every file that git knows, with its text."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    return {path: path.read_text(errors="ignore") for path in paths if path.is_file()}


# Roles.

PLATFORM_OPTIONS = read(ROOT / "roles" / PLATFORM / "meta" / "argument_specs.yml")["argument_specs"][
    "platform"
]["options"]
# Inputs of a part that other roles use as well stand among the platform's, and keep the part's name.
PREFIXES = {
    PLATFORM: ("metalworks_", "k3s_", *(f"{p}_" for p in PLATFORM_OPTIONS["metalworks_parts"]["choices"]))
}


@functools.cache
def options(role: Path) -> dict[str, Any]:
    specs = read(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


@each_role
def test_role_says_what_it_does_and_depends_on_no_other(role: Path) -> None:
    entries = read(role / "meta" / "argument_specs.yml")["argument_specs"].values()
    assert all(entry.get("short_description") for entry in entries)
    meta = read(role / "meta" / "main.yml") or {}
    assert not meta.get("dependencies"), "dependencies hide the order, which playbooks hold"


@each_role
def test_role_input_carries_the_roles_name_and_says_what_it_means(role: Path) -> None:
    for name, option in options(role).items():
        prefixes = PREFIXES.get(role.name, (f"{role.name}_",))
        assert name.startswith(prefixes), f"{name}: write {prefixes[0]}{name}"
        assert option.get("description"), f"{name} has no description"


@each_role
def test_role_defaults_are_those_of_its_argument_specs(role: Path) -> None:
    said = {
        name: option.get("default") for name, option in options(role).items() if not option.get("required")
    }
    assert (read(role / "defaults" / "main.yml") or {}) == said


# Something said of an input where it is not set: `name | default('word')`.
FALLBACK = re.compile(r"(\w+)\s*\|\s*default\(\s*['\"\d]+[^'\")]")


@each_role
def test_role_repeats_no_default_of_another_role(role: Path) -> None:
    known = {name for other in ROLES for name in options(other)}
    for path in [*role.glob("defaults/*.yml"), *role.glob("vars/*.yml"), *role.glob("tasks/*.yml")]:
        repeated = {name for name in FALLBACK.findall(path.read_text()) if name in known}
        assert not repeated, f"{path.parent.name}/{path.name}: its home is the role {PLATFORM}"


def test_a_secret_is_made_in_one_place() -> None:
    makers: dict[str, set[str]] = {}
    for path in [path for role in ROLES for path in role.glob("defaults/*.yml")]:
        for name in re.findall(r"/secrets/(\w+)", path.read_text()):
            makers.setdefault(name, set()).add(path.parents[1].name)
    assert makers["mlflow_door"] == {PLATFORM}
    assert {name: roles for name, roles in makers.items() if len(roles) > 1} == {}


# The command line and inventories in the format INI give texts, and the text "no" counts as true.
CONVERSIONS = {"bool": "bool", "int": "int", "float": "float"}
# Keys of tasks whose value is an expression without braces.
CONDITIONS = {"when", "that", "until", "failed_when", "changed_when"}
TEMPLATES = sorted(
    path
    for pattern in ("site.yml", "playbooks/**/*.*", "roles/*/*/**/*.*", "lab/roles/*/*/**/*.*")
    for path in ROOT.glob(pattern)
    if path.suffix == ".j2" or (path.suffix == ".yml" and path.parent.name != "meta")
)


def scalars(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a YAML document, with the key that it belongs to."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from scalars(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from scalars(item, key)
    elif isinstance(value, str):
        yield key, value


def unconverted(path: Path, kinds: dict[str, str]) -> Iterator[str]:
    """Yield expressions that use a flag or a number as it is written.

    What is a task's argument as a whole is converted by the module, the keyword or the role that gets it.
    """
    texts = [("", path.read_text())] if path.suffix == ".j2" else scalars(read(path))
    for key, text in texts:
        whole = re.fullmatch(r"{{\s*(\w+)\s*}}", text)
        if whole and path.parent.name in {"tasks", "playbooks"}:
            continue
        blocks = [text] if key in CONDITIONS else re.findall(r"{{.*?}}|{%.*?%}", text, re.DOTALL)
        for block in blocks:
            for found in re.finditer(r"\w+", block):
                conversion = CONVERSIONS.get(kinds.get(found[0], ""))
                if conversion and not re.match(rf"\s*\|\s*{conversion}\b", block[found.end() :]):
                    yield f"{path.relative_to(ROOT)}: {block}: write {found[0]} | {conversion}"


def test_flags_and_numbers_that_may_be_texts_are_converted_where_they_are_used() -> None:
    kinds = {name: option.get("type", "") for role in ROLES for name, option in options(role).items()}
    assert [sentence for path in TEMPLATES for sentence in unconverted(path, kinds)] == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("- {when: flag}", 1),
        ("- {when: not flag}", 1),
        ("- {when: flag | bool}", 0),
        ("- {vars: {one: '{{ flag }}'}}", 0),
        ("- {vars: {one: '{{ flag or other }}'}}", 1),
        ("- {msg: 'flag is what you wrote'}", 0),
    ],
)
def test_a_flag_that_is_used_as_it_is_written_is_found(text: str, count: int, tmp_path: Path) -> None:
    with mock.patch(f"{__name__}.ROOT", tmp_path):
        (tmp_path / "tasks").mkdir()
        path = tmp_path / "tasks" / "main.yml"
        path.write_text(text)
        assert len(list(unconverted(path, {"flag": "bool"}))) == count


@each_role
def test_role_keeps_internals_apart(role: Path) -> None:
    for name in read(role / "vars" / "main.yml") or {}:
        assert name.startswith(f"__{role.name}_"), (
            f"vars/main.yml: {name} is not an input; write __{role.name}_..."
        )


@each_acting_role
def test_role_tasks_begin_with_a_table_of_contents(role: Path) -> None:
    assert len((role / "tasks" / "main.yml").read_text().splitlines()) <= LONGEST_TABLE_OF_CONTENTS


@each_role
def test_role_ignores_no_error(role: Path) -> None:
    for path in role.rglob("tasks/*.yml"):
        assert "ignore_errors" not in path.read_text(), path


@each_acting_role
def test_role_has_a_scenario_that_tests_behaviour(role: Path) -> None:
    scenario = ROOT / "molecule" / role.name
    assert (scenario / "molecule.yml").exists()
    assert (scenario / "converge.yml").exists()
    assert cases_of(scenario / "tests" / f"test_{role.name}.py")


# Parts of the platform.

PARTS = [
    part
    for part in PLATFORM_OPTIONS["metalworks_parts"]["choices"]
    if (ROOT / "roles" / part / "tasks").exists()  # a name may be reserved for a part that is being built
]
# What the playbooks ask of every part (docs/explanation/adding-an-application.md).
ENTRIES = ("main", "fetch", "check_existing", "release", "verify", "explain_removal")


@pytest.mark.parametrize("part", PARTS)
def test_part_brings_what_the_playbooks_ask_of_it(part: str) -> None:
    tasks = ROOT / "roles" / part / "tasks"
    assert [entry for entry in ENTRIES if not (tasks / f"{entry}.yml").exists()] == []
    play = read(ROOT / "playbooks" / f"{part}.yml")[0]
    begin = play["tasks"][0]
    assert begin["ansible.builtin.import_tasks"] == "tasks/begin_part.yml"
    assert begin["vars"] == {"__part": part}
    sites = [each["ansible.builtin.import_playbook"] for each in read(ROOT / "site.yml")]
    assert f"playbooks/{part}.yml" in sites
    said = (tasks / "verify.yml").read_text()
    assert f"{part}_record:" in said
    assert f"{part}_welcome:" in said


@pytest.mark.parametrize("part", PARTS)
def test_a_chart_that_changes_is_rolled_out(part: str) -> None:
    """Helm's module compares the version of a chart and its values. What else changes has to be a value."""
    releases = re.findall(
        r"name: helm_release\n(?:.+\n)+", (ROOT / "roles" / part / "tasks" / "release.yml").read_text()
    )
    assert releases
    assert [each for each in releases if "helm_release_checksum_value: " not in each] == []


# Playbooks that ask one part for something.
OF_ONE_PART = {"logs", "report", "try_alert"}


def test_no_playbook_for_all_parts_names_one() -> None:
    assert "jupyterhub" in PARTS
    files = {*(ROOT / "playbooks").rglob("*.*")} - {*(ROOT / "playbooks" / "operations").iterdir()}
    shared = [path for path in files if path.is_file() and path.stem not in {*PARTS, *OF_ONE_PART}]
    named = re.compile(rf"\b({'|'.join(PARTS)})")
    assert [path.name for path in shared if named.search(path.read_text())] == []


# What they do is to remove, which a wrong value must not prevent, or to ask and to fetch.
CHANGES_NO_MACHINE = {
    "down",
    "check_machines",
    "check_existing",
    "check_inventory",
    "fetch",
    "logs",
    "report",
    "try_alert",
    "verify",
}


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_playbook_that_changes_something_judges_the_inventory_first(path: Path) -> None:
    first = read(path)[0]
    if path.stem in PARTS:
        assert first["tasks"][0]["ansible.builtin.import_tasks"] == "tasks/begin_part.yml"
    elif path.stem not in CHANGES_NO_MACHINE:
        assert first["ansible.builtin.import_playbook"] == "check_inventory.yml"


def test_what_the_documentation_takes_from_the_code_is_fresh() -> None:
    assert sorted(map(str, role_tables.stale())) == [], "Run `make docs`."


# Scenarios.


def test_every_scenario_checks_before_it_converges_and_converges_twice() -> None:
    base = read(ROOT / ".config" / "molecule" / "config.yml")
    for path in ROOT.glob("molecule/*/molecule.yml"):
        if path.parent.name == "default":  # the whole platform: check mode has a test of its own
            continue
        scenario = (read(path) or {}).get("scenario", {})
        sequence = scenario.get("test_sequence", base["scenario"]["test_sequence"])
        steps = [step for step in sequence if step in ("check", "converge", "idempotence", "verify")]
        assert steps[:3] == ["check", "converge", "idempotence"], path
        assert "verify" in steps, path


# Modules.


def argument_spec(path: Path) -> tuple[dict[str, Any], bool]:
    """What the module hands to AnsibleModule, seen without running it."""
    module = importlib.import_module(f"library.{path.parent.name}.{path.stem}")
    with mock.patch.object(module, "AnsibleModule", side_effect=Seen) as seen, pytest.raises(Seen):
        module.main()
    call = seen.call_args
    return call.kwargs.get("argument_spec") or call.args[0], call.kwargs.get("supports_check_mode", False)


class Seen(Exception):
    """The module got as far as its arguments."""


@functools.cache
def documentation(path: Path, name: str) -> Any:
    """A constant of the module, read as YAML."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            page = yaml.load(ast.literal_eval(node.value), yaml.CSafeLoader)
            if "extends_documentation_fragment" in page:
                add_fragments(page, str(path), fragment_loader, is_module=True)
            return page
    pytest.fail(f"{path.relative_to(ROOT)} has no {name}")


@each_module
def test_module_page_is_complete(path: Path) -> None:
    page = documentation(path, "DOCUMENTATION")
    assert page["module"] == path.stem
    assert page["short_description"]
    assert {"check_mode", "diff_mode"} <= set(page["attributes"])
    assert documentation(path, "EXAMPLES")
    returned = documentation(path, "RETURN")
    assert all(value["description"] and value["returned"] for value in returned.values())


@each_module
def test_module_options_are_those_of_its_page(path: Path) -> None:
    spec, _ = argument_spec(path)
    documented = documentation(path, "DOCUMENTATION").get("options", {})
    assert sorted(facts("", spec, "options")) == sorted(facts("", documented, "suboptions"))


def facts(prefix: str, spec: dict[str, Any], nested: str) -> Iterator[tuple[str, ...]]:
    """Name, type, need, default and choices of each option, however deep."""
    for name, option in spec.items():
        full = f"{prefix}{name}"
        yield (
            full,
            str(option.get("type", "str")),
            str(option.get("elements")),
            str(bool(option.get("required", False))),
            str(option.get("default")),
            str(list(option.get("choices") or [])),
        )
        yield from facts(f"{full}.", option.get(nested) or {}, nested)


@each_module
def test_module_predicts_in_check_mode(path: Path) -> None:
    _, supports_check_mode = argument_spec(path)
    assert supports_check_mode
    assert documentation(path, "DOCUMENTATION")["attributes"]["check_mode"]["support"] == "full"


@each_module
def test_module_has_a_unit_test_or_a_test_of_its_decisions(path: Path) -> None:
    files = [
        file for room in ("unit", "integration") for file in ROOT.glob(f"tests/{room}/*/test_{path.stem}.py")
    ]
    assert files, f"tests/unit/{path.parent.name}/test_{path.stem}.py is missing"
    assert [test for file in files for test in cases_of(file)], f"{files[0]} holds no test"


# Tests.

# Calls of libraries that can fail a test: pytest's, Playwright's, jsonschema's, those of requests and of
# subprocess. A helper of the tests counts if something in it can fail.
JUDGES = {"raises", "fail", "expect", "validate", "check_output", "raise_for_status"}
TEST_ROOMS = ("tests", "molecule")
TEST_FILES = sorted(path for room in TEST_ROOMS for path in ROOT.glob(f"{room}/**/test_*.py"))


def cases_of(path: Path) -> list[ast.FunctionDef]:
    """The test functions of a file, those in classes as well."""
    return [function for function in functions_of(path) if function.name.startswith("test_")]


@functools.cache
def functions_of(path: Path) -> list[ast.FunctionDef]:
    """The functions of a file, those in classes as well."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


@functools.cache
def helpers() -> dict[str, list[ast.FunctionDef]]:
    """What the tests' own files define beside tests, by name."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for path in (path for room in TEST_ROOMS for path in ROOT.glob(f"{room}/**/*.py")):
        for function in functions_of(path):
            if not function.name.startswith("test_"):
                found.setdefault(function.name, []).append(function)
    return found


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What runs when a function is called: without the functions and classes that it only defines."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield from own_nodes(child)


@functools.cache
def own_failure_and_calls(function: ast.FunctionDef) -> tuple[bool, frozenset[str]]:
    """Whether a function can fail by itself, and the names of what it calls."""
    fails, calls = False, set()
    for node in own_nodes(function):
        if isinstance(node, ast.Assert):
            fails |= not isinstance(node.test, ast.Constant)
        elif isinstance(node, ast.Raise):
            fails = True
        elif isinstance(node, ast.Call):
            calls.add(getattr(node.func, "attr", getattr(node.func, "id", "")))
            fails |= any(each.arg == "check" and ast.unparse(each.value) == "True" for each in node.keywords)
    return fails, frozenset(calls)


@functools.cache
def judges() -> frozenset[str]:
    """The names of all calls that can fail a test. Of helpers with one name, all have to be able to."""
    found = frozenset(JUDGES)
    while more := {
        name
        for name, functions in helpers().items()
        if name not in found and all(can_fail(function, found) for function in functions)
    }:
        found |= more
    return found


def can_fail(function: ast.FunctionDef, failing: frozenset[str]) -> bool:
    """Whether something in the function can fail it: its own, or a call of one of these names."""
    fails, calls = own_failure_and_calls(function)
    return fails or bool(calls & failing)


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_can_fail(path: Path) -> None:
    tests = cases_of(path)
    assert tests, "the file holds no test"
    assert [test.name for test in tests if not can_fail(test, judges())] == []


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("assert plan() == []", True),
        ("wait_for(ready, 'it is not ready')", True),
        ("assert True", False),
        ("print(plan())", False),
        ("check_sums()", False),
        ("module.wait_a_moment()", False),
        ("def never_called(): assert plan()", False),
    ],
)
def test_only_what_raises_is_taken_for_a_judge(text: str, can: bool) -> None:
    (function,) = ast.parse(f"def test_it():\n    {text}").body
    assert isinstance(function, ast.FunctionDef)
    assert can_fail(function, judges()) is can


# All that is tracked.


def test_no_registry_is_named_outside_of_the_catalogue() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in tracked().items()
        if path.relative_to(ROOT).parts[0] in ACTING
        for line in text.splitlines()
        if REGISTRY_HOST.search(line) and not line.lstrip().startswith("#")
    ]
    assert found == [], "write it in artifacts.yml and ask for the artifact by name"


def test_no_secret_is_tracked() -> None:
    assert [path for path, text in tracked().items() if SECRET.search(text)] == []


def test_no_state_of_an_inventory_is_tracked() -> None:
    assert [path for path in tracked() if ".state" in path.parts or path.name.startswith("id_ed25519")] == []


def test_programs_name_no_path_of_this_computer() -> None:
    here = re.compile(re.escape(str(ROOT)) + r"\b")
    assert [path for path, text in tracked().items() if here.search(text)] == []


# What is supported.

SUPPORT = ROOT / "docs" / "reference" / "support.md"
REAL_K3S = ROOT / "docs" / "reference" / "real-k3s.md"


@pytest.mark.parametrize("page", [SUPPORT, REAL_K3S], ids=lambda page: page.stem)
def test_what_is_called_proven_names_tests_that_exist(page: Path) -> None:
    named = re.findall(r"`((?:tests|molecule|inventories)/[^`:]*)(?:::[^`]*)?`", page.read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_place_to_run_is_listed_with_its_proof() -> None:
    text = SUPPORT.read_text()
    parts = [path.relative_to(ROOT).parts for path in tracked()]
    ours = {part[1] for part in parts if part[0] == "inventories"}  # beside those of who works here
    for inventory in ours:
        assert f"`inventories/{inventory}`" in text, inventory
    targets = re.findall(
        r'^    Target\(\s*"(\w+)"', (ROOT / "tests/targets/run.py").read_text(), re.MULTILINE
    )
    assert targets
    for target in targets:
        assert f"targets: {target}" in text, target


def test_every_task_that_is_interrupted_exists() -> None:
    """tests/destructive kills runs in the middle of tasks, which it knows by their names."""
    text = (ROOT / "tests/destructive/test_interrupted.py").read_text()
    named = re.findall(r'^    \("(\w+) : (.+)", [\d.]+\),$', text, re.MULTILINE)
    assert named
    for role, pattern in named:
        files = [
            path for rooms in ("roles", "lab/roles") for path in ROOT.glob(f"{rooms}/{role}/tasks/*.yml")
        ]
        names = re.findall(r"- name: (.+)", "\n".join(path.read_text() for path in files))
        assert any(re.match(pattern, name) for name in names), f"{role} : {pattern}"
