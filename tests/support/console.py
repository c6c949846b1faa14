"""Pages that a test runs from top to bottom: each command prints what the page shows.

A page is read as a person reads it:

- A block of ```console``` is a session. A line that begins with `$ ` is a command; lines with `> ` go on with
  it. The lines below are what it prints; where there are none, it prints nothing. It ends with code 0.
- `…` stands for anything in a line, and for any number of lines where it stands alone.
- Blanks between two words count as one: columns are as wide as what stands in them.
- A block after a paragraph that ends with "into `path`:" is the content of that file.
- A block of ```shell``` is not run. The paragraph after it begins with "(Not run by a test:" and says why.
- Blocks of other languages are there to be read, and have no line that begins with `$ `.
"""

from __future__ import annotations

import os
import re
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ANYTHING = "…"
FENCE = re.compile(r"^\s*```(\w*)$")
CONTENT = re.compile(r"\binto `([^`]+)`:$")
NOT_RUN = "(Not run by a test: "
# Longer than any command of a page may take: what a lost node needs, twice.
SECONDS = 1200


class PageProblem(ValueError):
    """A page that cannot be run; the message names the line."""


@dataclass(frozen=True)
class Command:
    """What somebody types, and the lines that are shown below. `line` counts from 1."""

    line: int
    text: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """What somebody writes into a file."""

    line: int
    path: str
    content: str


def steps(text: str) -> list[Command | File]:
    """Return the commands and the files of a page in their order. PageProblem if a block breaks the rules."""
    found: list[Command | File] = []
    lines = text.splitlines()
    for number, kind, block in blocks(lines):
        below = next((line for line in lines[number + len(block) + 1 :] if line.strip()), "")
        content = CONTENT.search(paragraph_above(lines[: number - 1]))
        if kind == "console":
            found += _session(number + 1, block)
        elif content:
            found.append(File(number, content[1], "".join(f"{line}\n" for line in block)))
        elif kind == "shell" and not below.startswith(NOT_RUN):
            raise PageProblem(f"line {number}: write {NOT_RUN}…) below the block, and why")
        elif any(line.startswith("$ ") for line in block):
            raise PageProblem(f"line {number}: a block with commands is one of console")
    return found


def blocks(lines: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the line, the language and the content of each fenced block. PageProblem if one has no end."""
    begin, kind = 0, ""
    for number, line in enumerate(lines, 1):
        if begin and line.strip() == "```":
            yield begin, kind, lines[begin : number - 1]
            begin = 0
        elif not begin and (fence := FENCE.match(line)):
            begin, kind = number, fence[1]
    if begin:
        raise PageProblem(f"line {begin}: the block has no end")


def paragraph_above(lines: list[str]) -> str:
    """Return the last paragraph of these lines as one line."""
    text = "\n".join(lines).rstrip()
    return " ".join(text.rpartition("\n\n")[2].split())


def _session(first: int, block: list[str]) -> list[Command]:
    found: list[Command] = []
    for number, line in enumerate(block, first):
        if line.startswith("$ "):
            found.append(Command(number, line[2:], ()))
        elif not found:
            raise PageProblem(f"line {number}: a session begins with a command: $ …")
        elif line.startswith("> ") and not found[-1].shown:
            found[-1] = replace(found[-1], text=f"{found[-1].text}\n{line[2:]}")
        else:
            found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
    return found


def prints(shown: tuple[str, ...], said: str) -> bool:
    """Whether what a command said is what a page shows."""
    pattern = "".join(r"(?:.*\n)*" if line.strip() == ANYTHING else f"{_pattern(line)}\n" for line in shown)
    return bool(re.fullmatch(pattern, "".join(f"{line.strip()}\n" for line in said.splitlines())))


def _pattern(line: str) -> str:
    words = (".*".join(map(re.escape, word.split(ANYTHING))) for word in line.split())
    return r"\s+".join(words)


class Session:
    """A shell that runs one command after the other, as a terminal does. It reads no input."""

    # Commands come by a pipe of their own, so that none of them reads the next one.
    LOOP = """
        while IFS= read -r -d '' command <&COMMANDS; do
            eval "$command" </dev/null COMMANDS<&-
            printf '\\n%s %s\\n' "$0" "$?"
        done
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Start the shell in a folder."""
        self.mark = f"end-{secrets.token_hex(8)}"
        reads, self.commands = os.pipe()
        self.shell = subprocess.Popen(
            ["bash", "-c", self.LOOP.replace("COMMANDS", str(reads)), self.mark],
            cwd=folder,
            env=dict(environment),
            pass_fds=[reads],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.close(reads)

    def run(self, command: str, seconds: float = SECONDS) -> tuple[int, str]:
        """Return the code of a command and what it printed on both streams. TimeoutError if it goes on."""
        assert self.shell.stdout is not None
        os.write(self.commands, command.encode() + b"\0")
        end, said = time.monotonic() + seconds, b""
        last = re.compile(rf"\n{self.mark} (\d+)\n\Z".encode())
        with selectors.DefaultSelector() as selector:
            selector.register(self.shell.stdout, selectors.EVENT_READ)
            while not (found := last.search(said)):
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise TimeoutError(said.decode(errors="replace"))
                if not (more := os.read(self.shell.stdout.fileno(), 65536)):
                    raise EOFError(said.decode(errors="replace"))
                said += more
        return int(found[1]), said[: found.start()].decode(errors="replace")

    def close(self) -> None:
        """End the shell, and what it runs in the background."""
        os.close(self.commands)
        os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.communicate()


@contextmanager
def session(folder: Path, environment: Mapping[str, str]) -> Iterator[Session]:
    """Yield a shell, which is ended with all that it started."""
    opened = Session(folder, environment)
    try:
        yield opened
    finally:
        opened.close()


def run_page(
    page: Path, folder: Path, environment: Mapping[str, str], names: Mapping[str, str] | None = None
) -> None:
    """Run the steps of a page in a folder; fail with the first that goes another way than the page says.

    `names` are words of the page that are others here.
    """
    text = page.read_text()
    for theirs, ours in (names or {}).items():
        text = text.replace(theirs, ours)
    with session(folder, environment) as shell:
        for step in steps(text):
            if isinstance(step, File):
                (folder / step.path).write_text(step.content)
                continue
            began = time.monotonic()
            print(f"{page.name}:{step.line}: $ {step.text}", flush=True)
            try:
                code, said = shell.run(step.text)
            except (TimeoutError, EOFError) as problem:
                pytest.fail(_report(page, step, type(problem).__name__, str(problem)))
            print(f"{said.rstrip()}\n[{time.monotonic() - began:.0f} s]", flush=True)
            if code or not prints(step.shown, said):
                pytest.fail(_report(page, step, f"code {code}", said))


def _report(page: Path, step: Command, how: str, said: str) -> str:
    shown = "\n".join(step.shown) or "(nothing)"
    return (
        f"{page.name}, line {step.line}:\n$ {step.text}\n"
        f"--- the page shows\n{shown}\n--- it printed ({how})\n{said.rstrip() or '(nothing)'}"
    )
