"""The commands of docs/explanation/cluster.md print what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.support.console import Command, steps

testinfra_hosts = ["ansible://k3s_server"]
PAGE = Path(__file__).parents[2] / "docs/explanation/cluster.md"
AGE = re.compile(r"(\d+[dhms])+")
COMMANDS = [step for step in steps(PAGE.read_text()) if isinstance(step, Command)]


def pattern(line: str) -> str:
    """Return the expression for a line: … is anything, and another age, number or width will do."""
    words = (
        AGE.pattern if AGE.fullmatch(word) else re.sub(r"\d+", r"\\d+", re.escape(word)).replace("…", ".*")
        for word in line.split()
    )
    return r"\s+".join(words)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_command_prints_what_the_page_shows(host: Any, platform: dict[str, Any], command: Command) -> None:
    lines = [line for line in command.shown if line]
    if "--namespace model" in command.text and "model" not in platform["parts"]:
        pytest.skip("metalworks_parts of this platform leaves model out")
    nodes = dict(zip(("metal-1", "metal-2"), sorted(platform["nodes"]), strict=False))
    with host.sudo():
        said = host.check_output("k3s " + command.text.replace("metal-1", nodes["metal-1"]))
    assert lines and said
    rest = iter(said.splitlines())
    for line in lines:
        if "metal-2" in line and "metal-2" not in nodes:
            continue
        for ours, theirs in nodes.items():
            line = line.replace(ours, theirs)
        assert any(re.fullmatch(pattern(line), each.strip()) for each in rest), (
            f"{line!r} is not next in\n{said}"
        )
