"""The commands of docs/explanation/cluster.md print what the page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.console import ANYTHING, Command, prints, steps

testinfra_hosts = ["ansible://k3s_server"]
PAGE = Path(__file__).parents[2] / "docs/explanation/cluster.md"
COMMANDS = [step for step in steps(PAGE.read_text()) if isinstance(step, Command)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_command_prints_what_the_page_shows(host: Any, platform: dict[str, Any], command: Command) -> None:
    """The first line, because platforms differ in the others: in their nodes, for example."""
    own = {"metal-1": sorted(platform["nodes"])[0]}
    text, first = command.text, "".join(command.shown[:1])
    for ours, theirs in own.items():
        text, first = text.replace(ours, theirs), first.replace(ours, theirs)
    with host.sudo():
        said = host.check_output("k3s " + text)
    assert said
    assert prints((first, ANYTHING) if first else (ANYTHING,), said), said
