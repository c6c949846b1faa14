"""The commands of docs/explanation/cluster.md print what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

testinfra_hosts = ["ansible://k3s_server"]
PAGE = Path(__file__).parents[2] / "docs/explanation/cluster.md"


def shown() -> list[tuple[str, str]]:
    """Each command of the page with the line that follows it, which is empty where the page shows none."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in [*block.splitlines(), ""]]
    following = [*lines[1:], ""]
    return [
        (line.removeprefix("$ "), "" if after.startswith("$ ") else after)
        for line, after in zip(lines, following, strict=True)
        if line.startswith("$ ")
    ]


@pytest.mark.parametrize(("command", "first_line"), shown())
def test_command_prints_what_the_page_shows(
    host: Any, platform: dict[str, Any], command: str, first_line: str
) -> None:
    own = {"metal-1": sorted(platform["nodes"])[0]}
    for ours, theirs in own.items():
        command, first_line = command.replace(ours, theirs), first_line.replace(ours, theirs)
    with host.sudo():
        said = host.check_output("k3s " + command)
    assert said
    for word in first_line.split():
        assert word in said
