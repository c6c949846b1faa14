"""How the tests reach machines, which the project's conftest.py decides."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import testinfra


def test_all_commands_to_a_machine_share_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a path for its socket, ssh shares nothing, whatever ControlMaster says (ssh_config(5))."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    said = testinfra.get_host("ssh://machine").check_output("true")

    assert "-o ControlMaster=auto" in said
    assert re.search(r"-o ControlPath=/\S+/%C machine", said), said
