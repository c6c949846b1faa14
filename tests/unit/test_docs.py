"""Whatever the Markdown pages name must exist: links, anchors, paths, commands. Faults are told by line."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests.support.console import CONTENT, blocks, paragraph_above

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "README.md"
REAL_K3S = ROOT / "docs" / "reference" / "real-k3s.md"
ANSWERS = ROOT / "docs" / "reference" / "answers.md"
# Pages with commands, and what runs the sessions (blocks of console) of the first.
TUTORIALS, HOW_TO = ROOT / "docs" / "tutorials", ROOT / "docs" / "how-to"
SESSIONS = ROOT / "tests" / "destructive" / "test_tutorials.py"
# Where tests are collected from, and what measures.
PROOFS = ("tests/", "molecule/", "files/model/tests/", "benchmarks/")
DEFINED_TEST = re.compile(r"^\s*(?:def|async def|func) (test_\w+|Test\w+)\(", re.MULTILINE)
NAMED_TEST = re.compile(r"(?!test_sequence)test_\w+|Test[A-Z]\w+")  # test_sequence is a key of Molecule's
RUN_BY = re.compile(r"\(Run by `([^`]+)`[^)]*\.\)")
NOT_RUN = re.compile(r"\(Not run by a test: [`\w][^)]*\.\)")
FENCE = re.compile(r"^\s*```")
CODE_SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"!?\[(?:[^\]]|\][^(])*?\]\(([^)\s]+)\)")
LINE_NUMBER = re.compile(r"L([1-9]\d*)")
PATH = re.compile(r"[\w.-]+(?:/[\w.*-]+)+/?")
PLAYBOOK = re.compile(r"(?:playbooks/[\w/]+|site)\.yml")
MAKE = re.compile(r"(?:^\s*|[;&|] )(?:[A-Z]\w*=\S+ )*make ((?:[A-Z]\w*=\S+ )*)([a-z][a-z-]*+)(?!\*)")


@dataclass(frozen=True)
class Line:
    """One line of a page. `fenced` lines stand in a code block; `number` counts from 1."""

    page: Path
    number: int
    text: str
    fenced: bool

    @property
    def place(self) -> str:
        """Where a reader finds the line, for example `docs/README.md:3`."""
        return f"{self.page.relative_to(ROOT)}:{self.number}"

    @property
    def code(self) -> list[str]:
        """The whole line inside a code block, elsewhere what stands between backticks."""
        return [self.text] if self.fenced else CODE_SPAN.findall(self.text)


@cache
def tracked() -> tuple[str, ...]:
    """The files of the repository, also those that are new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return tuple(sorted(name for name in listed.split("\0") if name and (ROOT / name).exists()))


@cache
def pages() -> tuple[Path, ...]:
    return tuple(ROOT / name for name in tracked() if name.endswith(".md"))


@cache
def lines(page: Path) -> tuple[Line, ...]:
    found: list[Line] = []
    fenced = False
    for number, text in enumerate(page.read_text().splitlines(), 1):
        if FENCE.match(text):
            fenced = not fenced
        else:
            found.append(Line(page, number, text, fenced))
    assert not fenced, f"{page.relative_to(ROOT)}: a code block has no end"
    return tuple(found)


def every_line() -> Iterator[Line]:
    for page in pages():
        yield from lines(page)


def problems(judge: Callable[[Line], Iterator[str]]) -> list[str]:
    return [f"{line.place}: {problem}" for line in every_line() for problem in judge(line)]


def links(line: Line) -> list[str]:
    """Targets of the links of a line, those of other sites excepted."""
    if line.fenced:
        return []
    found = LINK.findall(CODE_SPAN.sub("code", line.text))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to the headings of a page; the second of one name gets `-1`."""
    slugs: list[str] = []
    for line in lines(page):
        if not line.fenced and (heading := re.match(r"#{1,6} +(.*)", line.text)):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            slugs.append(slug if slug not in slugs else f"{slug}-{slugs.count(slug)}")
    return frozenset(slugs)


def link_problems(line: Line) -> Iterator[str]:
    for target in links(line):
        name, _, anchor = target.partition("#")
        there = (line.page.parent / name).resolve() if name else line.page
        if not there.exists():
            yield f"the link {target} leads to nothing"
        elif there.is_file() and there.suffix != ".md" and (line_number := LINE_NUMBER.fullmatch(anchor)):
            if int(line_number[1]) > len(there.read_text().splitlines()):
                yield f"the file has no such line: {target}"
        elif anchor and anchor not in anchors(there):
            yield f"the page has no heading for the link {target}"


def path_problems(line: Line) -> Iterator[str]:
    """A path is judged where its first folder is one of the repository, or of the page's own folder."""
    for span in line.code if not line.fenced else []:
        name = span.partition("::")[0]
        if not PATH.fullmatch(name) or of_an_operator(line.page, name):
            continue
        bases = [base for base in (ROOT, line.page.parent) if base / name.split("/")[0] in folders()]
        if bases and not any(any(base.glob(name.rstrip("/"))) for base in bases):
            yield f"`{name}` does not exist"


@cache
def folders() -> frozenset[Path]:
    """The folders in which something is tracked."""
    return frozenset(folder for name in tracked() for folder in (ROOT / name).parents)


@cache
def written_and_copied(page: Path) -> tuple[list[str], list[str]]:
    """The files that the page tells to write, and the inventories that it tells to make of others."""
    text = page.read_text()
    copied = re.findall(r"cp -r inventories/\w+ (inventories/\w+)", text)
    return re.findall(r"\binto\s`([^`]+)`:\n\n```", text), copied


def of_an_operator(page: Path, name: str) -> bool:
    """Whether the page tells to write the file, or to copy its inventory, or it is the state of a run."""
    written, copied = written_and_copied(page)
    return (
        ".state" in name.split("/")
        or name in written
        or any(name.startswith(f"{folder}/") for folder in copied)
    )


@cache
def names_of_tests() -> frozenset[str]:
    """Functions of pytest (test_...) and of Go (Test...)."""
    sources = (ROOT / name for name in tracked() if name.endswith((".py", ".go")))
    return frozenset(name for path in sources for name in DEFINED_TEST.findall(path.read_text()))


def named_test_problems(line: Line) -> Iterator[str]:
    """`test_name` and `TestName` are defined somewhere; `path::name` stands in that file."""
    for span in line.code if not line.fenced else []:
        path, _, name = span.partition("::")
        if (
            name
            and (ROOT / path).is_file()
            and not re.search(rf"\b{re.escape(name)}\b", (ROOT / path).read_text())
        ):
            yield f"{path} has no {name}"
        elif NAMED_TEST.fullmatch(span) and span not in names_of_tests():
            yield f"no test is called {span}"


def unproven_problems(line: Line) -> Iterator[str]:
    """Each row of the page about the real k3s names what holds it, or says that nothing does."""
    if line.page != REAL_K3S or not line.text.startswith("| ") or line.text.endswith("| held by |"):
        return
    proof = line.text.rstrip(" |").rpartition("|")[2].strip()
    named = [span.partition("::")[0] for span in CODE_SPAN.findall(proof)]
    if proof != "not held yet" and not any(
        name.startswith(("tests/", "molecule/", "lab/")) for name in named
    ):
        yield f"{proof!r} is no test"


@cache
def collected(path: Path) -> frozenset[str]:
    """The tests that pytest finds in a file: functions, and methods of classes."""
    if not path.is_file() or not re.fullmatch(r"test_\w+\.py", path.name):
        return frozenset()
    top = ast.parse(path.read_text()).body
    classes = [node for node in top if isinstance(node, ast.ClassDef) and node.name.startswith("Test")]
    found = [*top, *(each for node in classes for each in node.body)]
    return frozenset(
        node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def unanswered_problems(line: Line) -> Iterator[str]:
    """Each row of the page of answers has a place, and what shows it: a test, a page, or what lacks."""
    if line.page != ANSWERS or not line.text.startswith("| ") or line.text.startswith("| task or question |"):
        return
    cells = [cell.strip() for cell in line.text.strip("| ").split(" | ")]
    if len(cells) != 3 or not all(cells):
        yield "a row has a question, its place, and what shows it"
        return
    question, place, shown = cells
    spans = CODE_SPAN.findall(shown)
    tests = [span for span in spans if span.startswith(PROOFS)]
    if not LINK.search(place) and not any((ROOT / span).exists() for span in CODE_SPAN.findall(place)):
        yield f"{question}: there is no place"
    if not (tests or LINK.search(shown) or re.search(r"not yet: \w", shown) or shown == "the rows below"):
        yield f"{question}: neither a test nor a page, and no word on what lacks"
    for span in tests:
        path, _, name = span.partition("::")
        if not (ROOT / path).exists():
            yield f"{question}: {path} does not exist"
        elif name and name not in collected(ROOT / path):
            yield f"{question}: pytest finds no {name} in {path}"


def commands(page: Path) -> Iterator[tuple[int, str]]:
    """What a page tells to type, by the line where it begins, with the paragraph that follows it.

    These are fenced blocks, but those to be read and the content of files, and tables of commands.
    """
    text = page.read_text().splitlines()
    for number, kind, block in blocks(text):
        run = kind == "console" and page.parent == TUTORIALS and SESSIONS.exists()
        content = CONTENT.search(paragraph_above(text[: number - 1]))
        if kind not in {"yaml", "json", "text"} and not run and not content:
            yield number, paragraph(text[number + len(block) + 1 :])
    for number, line in enumerate(text, 1):
        if line.strip() == "| to | do |":
            rows = next((at for at, row in enumerate(text[number:]) if not row.startswith("|")), 0)
            yield number, paragraph(text[number + rows :])


def paragraph(text: list[str]) -> str:
    """Return the paragraph that begins here, or after one empty line."""
    text = text[1:] if text and not text[0].strip() else text
    end = next((at for at, line in enumerate(text) if not line.strip()), len(text))
    return " ".join(line.strip() for line in text[:end])


def is_proof(span: str) -> bool:
    """Whether a name is a test, a scenario, or a verb that tests."""
    path, _, name = span.partition("::")
    if span.startswith("make "):
        return span.removeprefix("make ") in verbs() and span.startswith(("make test", "make verify"))
    return path.startswith(PROOFS) and (name in collected(ROOT / path) if name else (ROOT / path).exists())


def unmarked_problems(page: Path) -> Iterator[str]:
    """Each command of tutorials and how-tos names the test that runs it, or says why none does."""
    for number, below in commands(page):
        named = RUN_BY.match(below)
        if named and not is_proof(named[1]):
            yield f"{page.name}:{number}: {named[1]} is no test"
        elif not named and not NOT_RUN.match(below):
            yield f"{page.name}:{number}: write (Run by `a test`.) or (Not run by a test: why.) below"


@cache
def verbs() -> frozenset[str]:
    """The targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def make_problems(line: Line) -> Iterator[str]:
    for code in line.code:
        for _, verb in MAKE.findall(code.partition("#")[0]):
            if verb not in verbs():
                yield f"the Makefile has no verb {verb}"


def playbook_problems(line: Line) -> Iterator[str]:
    """A command without an inventory meets the lab, whatever inventory the page speaks of."""
    for code in line.code:
        if "ansible-playbook" not in code:
            continue
        named = PLAYBOOK.findall(code)
        for playbook in named:
            if not (ROOT / playbook).exists():
                yield f"{playbook} does not exist"
        inventory = re.search(r"(?:-i|--inventory)[ =](\S+)", code)
        if not inventory:
            if named:
                yield f"`{code.strip()}` names no inventory: write -i inventories/<name>"
        elif not inventory_exists(line.page, inventory[1]):
            yield f"{inventory[1]} is neither there nor made by this page"


def inventory_exists(page: Path, name: str) -> bool:
    return (
        "<" in name
        or name.startswith("$")
        or (ROOT / name).exists()
        or bool(re.search(rf"cp -r inventories/\w+ {re.escape(name)}\b", page.read_text()))
    )


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    assert problems(link_problems) == []


def test_every_path_in_backticks_exists() -> None:
    assert problems(path_problems) == []


def test_every_test_that_is_named_exists() -> None:
    assert problems(named_test_problems) == []


def test_every_row_about_the_real_k3s_names_its_test() -> None:
    assert problems(unproven_problems) == []


def test_every_question_has_its_place() -> None:
    assert problems(unanswered_problems) == []
    rows = [line for line in lines(ANSWERS) if line.text.startswith("| ")]
    assert len(rows) > 60, "the page is the list of the questions: none may be lost"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("| a | [b](support.md) | `tests/unit/test_docs.py::test_judge` |", 0),
        ("| a | [b](support.md) | `molecule/default` |", 0),
        ("| a | `inventories/lab` | [c](timings.md) |", 0),
        ("| a | [b](support.md) | not yet: c |", 0),
        ("| a | [b](support.md) | not yet |", 1),
        ("| a | [b](support.md) | it works |", 1),
        ("| a | somewhere | `molecule/default` |", 1),
        ("| a |  | `molecule/default` |", 1),
        ("| a | [b](support.md) |", 1),
        ("| a | [b](support.md) | `tests/unit/gone.py` |", 1),
        # It stands in the file, and is no test: a helper, and a name in a text.
        (f"| a | [b](support.md) | `tests/unit/test_docs.py::{'anchors'}` |", 1),
        (f"| a | [b](support.md) | `tests/unit/test_conventions.py::{'test_it'}` |", 1),
        (f"| a | [b](support.md) | `tests/support/waiting.py::{'wait_for'}` |", 1),
    ],
)
def test_a_question_without_a_place_is_found(row: str, found: int) -> None:
    assert len(list(unanswered_problems(Line(ANSWERS, 1, row, False)))) == found


def test_every_command_is_run_by_a_test_or_marked() -> None:
    typed = [page for page in pages() if page.is_relative_to(TUTORIALS) or page.is_relative_to(HOW_TO)]
    assert [problem for page in typed for problem in unmarked_problems(page)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```\nmake up\n```\n(Run by `make verify`.)\n", 0),
        ("```\nmake up\n```\n\n(Run by `tests/unit/test_docs.py::test_judge`, with\nanother name.)\n", 0),
        ("```\nmake up\n```\n\n(Run by `molecule/default`.)\n", 0),
        ("- a\n  ```shell\n  make up\n  ```\n  (Not run by a test: it waits for a key.)\n", 0),
        ("```yaml\na: b\n```\n", 0),
        ("Write this into `a.txt`:\n\n```python\n1\n```\n", 0),
        ("```\nmake up\n```\n", 1),
        ("```\nmake up\n```\n\n\n(Run by `make verify`.)\n", 1),
        ("```\nmake up\n```\n\n(Not run by a test: .)\n", 1),
        ("```\nmake up\n```\n\n(Run by `make up`.)\n", 1),
        (f"```\nmake up\n```\n\n(Run by `tests/unit/test_docs.py::{'anchors'}`.)\n", 1),
        ("```console\n$ make up\n```\nIt runs.\n\n```\nmake up\n```\n", 2),
        ("| to | do |\n|---|---|\n| a | `make up` |\n\n(Run by `make verify`.)\n", 0),
        ("| to | do |\n|---|---|\n| a | `make up` |\n\nIt runs.\n", 1),
    ],
)
def test_a_command_without_a_mark_is_found(tmp_path: Path, text: str, found: int) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert len(list(unmarked_problems(page))) == found


def test_every_verb_of_make_exists() -> None:
    assert problems(make_problems) == []


def test_every_playbook_command_names_its_inventory() -> None:
    assert problems(playbook_problems) == []


def test_every_page_of_docs_is_in_the_index() -> None:
    listed = {
        (INDEX.parent / target.partition("#")[0]).resolve() for line in lines(INDEX) for target in links(line)
    }
    # Pages of one kind have an index of their own, which is in this one.
    own_index = (ROOT / "docs" / "decisions", ROOT / "docs" / "how-to" / "alerts")
    missing = [
        page for page in pages() if page.is_relative_to(ROOT / "docs") and page not in listed | {INDEX}
    ]
    assert [str(page) for page in missing if page.parent not in own_index] == []


def test_every_decision_is_listed() -> None:
    index = ROOT / "docs" / "decisions" / "README.md"
    listed = {(index.parent / target).resolve() for line in lines(index) for target in links(line)}
    assert {page for page in pages() if page.parent == index.parent} - {index} == listed


# The judges themselves: each finds its fault, and only that.


@pytest.mark.parametrize(
    ("judge", "text", "fenced", "found"),
    [
        (link_problems, "[index](docs/README.md)", False, 0),
        (link_problems, "[index](docs/NOWHERE.md)", False, 1),
        (link_problems, "[no such heading](docs/README.md#no-such-heading)", False, 1),
        (link_problems, "[elsewhere](https://example.org/x.md)", False, 0),
        (link_problems, "[a line](LICENSE#L1)", False, 0),
        (link_problems, "[no such line](LICENSE#L100000)", False, 1),
        (link_problems, "[a page has headings](docs/README.md#L1)", False, 1),
        (path_problems, "`roles/node/tasks/main.yml`", False, 0),
        (path_problems, "`roles/nothing/tasks/main.yml`", False, 1),
        (path_problems, "`/etc/rancher/k3s`, `a/b`", False, 0),
        (named_test_problems, "`test_judge`, `TestJoining`", False, 0),
        (named_test_problems, "`test_of_nothing_at_all`", False, 1),
        (named_test_problems, "`tests/unit/test_docs.py::test_judge`", False, 0),
        (named_test_problems, f"`tests/unit/test_conventions.py::test_{'judge'}`", False, 1),
        (make_problems, "`make up LAB=test`", False, 0),
        (make_problems, "`make coffee`", False, 1),
        (make_problems, "make sure that it runs", False, 0),
        (make_problems, "lab/roles/    the roles that make the machines", True, 0),
        (make_problems, "METALWORKS_LAB_SUBNET=172.30.20 make coffee", True, 1),
        (make_problems, "git add x && make coffee     # of beans", True, 1),
        (playbook_problems, "`ansible-playbook -i inventories/lab site.yml`", False, 0),
        (playbook_problems, "ansible-playbook playbooks/images.yml", True, 1),
        (playbook_problems, "ansible-playbook -i inventories/lab playbooks/nothing.yml", True, 1),
        (playbook_problems, "ansible-playbook -i inventories/nowhere site.yml", True, 1),
    ],
)
def test_judge(judge: Callable[[Line], Iterator[str]], text: str, fenced: bool, found: int) -> None:
    assert len(list(judge(Line(ROOT / "README.md", 1, text, fenced)))) == found
