"""Reading a page of commands, running them in a shell, and comparing what they print with the page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.console import Command, File, PageProblem, prints, run_page, session, steps
from tests.support.waiting import wait_for

PAGES = sorted(Path(__file__).parents[3].glob("docs/tutorials/*.md"))
# They happen in a browser, and tests/browser walks through them.
WITHOUT_COMMANDS = {"first-model", "first-notebook"}
PAGE = """# A page
Not this one: into `other.txt`.

Write this into
`some.txt`:

```yaml
one: 1
```

```console
$ cat some.txt
one: 1
$ for each in a b; do
>   echo $each
> done
a
…
```

```text
no command
```

```shell
k9s
```

(Not run by a test: it wants a terminal.)
"""


def test_a_page_is_its_commands_and_files() -> None:
    assert steps(PAGE) == [
        File(7, "some.txt", "one: 1\n"),
        Command(12, "cat some.txt", ("one: 1",)),
        Command(14, "for each in a b; do\n  echo $each\ndone", ("a", "…")),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```shell\nk9s\n```\n", "line 1: write (Not run by a test: "),
        ("```shell\nk9s\n```\n\nIt wants a terminal.\n", "line 1: write (Not run by a test: "),
        ("```\n$ make up\n```\n", "line 1: a block with commands"),
        ("\n```console\nmake up\n```\n", "line 3: a session begins with a command"),
        ("```console\n$ true\n", "line 1: the block has no end"),
    ],
)
def test_a_page_that_breaks_the_rules_is_refused(text: str, says: str) -> None:
    with pytest.raises(PageProblem, match=says.replace("(", r"\(")):
        steps(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tutorials_can_be_run(page: Path) -> None:
    assert [step.line for step in steps(page.read_text())] or page.stem in WITHOUT_COMMANDS


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ((), "", True),
        ((), "error\n", False),
        (("a",), "", False),
        (("a  b",), "a      b  \n", True),
        (("a b",), "ab\n", False),
        (("a.c",), "abc\n", False),
        (("metal-1  …   v1",), "metal-1   15m   v1\n", True),
        (("pod-…  Running",), "pod-x7f-2  Running\n", True),
        (("pod-…  Running",), "pod-x7f-2  Pending\n", False),
        (("a", "…"), "a\n", True),
        (("a", "…", "d"), "a\nb\nc\nd\n", True),
        (("a", "…", "d"), "a\nb\nc\n", False),
        (("… 200",), "  341 200\n", True),
        (("… 200",), "    1 000\n  341 200\n", False),
    ],
)
def test_only_what_is_shown_is_taken(shown: tuple[str, ...], said: str, same: bool) -> None:
    assert prints(shown, said) is same


def test_a_shell_keeps_its_variables_and_gives_no_input(tmp_path: Path) -> None:
    with session(tmp_path, os.environ) as shell:
        assert shell.run("one=1; echo to both >&2") == (0, "to both\n")
        assert shell.run('cat; echo "$one"; printf end') == (0, "1\nend")
        assert shell.run("(exit 3)") == (3, "")
        with pytest.raises(TimeoutError):
            shell.run("sleep 60", 0.2)


def test_what_runs_in_the_background_ends_with_the_shell(tmp_path: Path) -> None:
    with session(tmp_path, os.environ) as shell:
        _, number = shell.run("sleep 600 > /dev/null & echo $!")
    state = Path("/proc", number.strip(), "stat")
    wait_for(lambda: not state.exists() or " Z " in state.read_text(), "it goes on", 20)


def test_a_page_is_run_with_the_names_of_here(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("one: 1", "one: lab-1"))
    run_page(page, tmp_path, os.environ, {"lab-1": "test-1"})
    assert (tmp_path / "some.txt").read_text() == "one: test-1\n"


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("$ echo other\nthis", "--- the page shows\nthis\n--- it printed (code 0)\nother"),
        ("$ (exit 2)", "--- it printed (code 2)\n(nothing)"),
        ("$ exit 1", "EOFError"),
    ],
)
def test_a_failure_says_which_command_what_was_shown_and_what_came(
    tmp_path: Path, block: str, says: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```console\n{block}\n```\n")
    with pytest.raises(pytest.fail.Exception) as failure:
        run_page(page, tmp_path, os.environ)
    assert "page.md, line 2:\n$ " in str(failure.value)
    assert says in str(failure.value)
