"""The example for metal names what has to be filled in, and is accepted after that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playing import ROOT, play

CHECK = ROOT / "playbooks" / "check_inventory.yml"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy: passwords are made beside the inventory."""
    left_out = shutil.ignore_patterns(".state")
    return Path(shutil.copytree(ROOT / "inventories" / "metal", tmp_path / "mine", ignore=left_out))


def test_unedited_example_is_refused(example: Path) -> None:
    outcome = play(CHECK, example)
    assert outcome.code == 2, outcome.said
    assert (
        "1. hosts metal-1, metal-2 have addresses of documentation (192.0.2.11, 192.0.2.12)" in outcome.said
    )
    assert "write the machines' own as ansible_host (docs/how-to/bare-metal.md)" in outcome.said
    assert " 2. " not in outcome.said
    assert outcome.changed_nothing


def test_example_with_addresses_is_accepted(example: Path) -> None:
    hosts = example / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("192.0.2.", "198.18.0."))
    outcome = play(CHECK, example)
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing
