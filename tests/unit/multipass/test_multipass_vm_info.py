"""What is there is told by name; what is missing is told as absent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.modules import run_module

FAKE = f"""#!{sys.executable} -IS
import json, sys
words = sys.argv[1:]
entry = {{"state": "Running", "ipv4": ["10.1.2.3"], "image_release": "24.04 LTS", "cpu_count": "2"}}
if words[0] == "version":
    print(json.dumps({{"multipass": "1.16.1", "multipassd": "1.16.1"}}))
elif words[0] == "list":
    print(json.dumps({{"list": [{{"name": "vm", "state": "Running", "ipv4": ["10.1.2.3"]}}]}}))
elif words[:2] == ["info", "vm"]:
    print(json.dumps({{"errors": [], "info": {{"vm": entry}}}}))
elif words[0] == "info":
    sys.exit(f'info failed: instance "{{words[1]}}" does not exist')
elif words == ["get", "local.vm.memory"]:
    print("4.0GiB")
"""


@pytest.fixture
def executable(tmp_path: Path) -> str:
    program = tmp_path / "multipass"
    program.write_text(FAKE)
    program.chmod(0o755)
    return str(program)


def test_all_instances_are_told(executable: str, capsys: Any) -> None:
    answer = run_module("multipass_vm_info", {"executable": executable}, capsys)
    assert answer["version"] == {"multipass": "1.16.1", "multipassd": "1.16.1"}
    assert list(answer["instances"]) == ["vm"]
    told = answer["instances"]["vm"]
    assert (told["state"], told["ipv4"], told["cpus"], told["memory"]) == (
        "running",
        ["10.1.2.3"],
        2,
        "4.0GiB",
    )
    assert not answer["changed"]


def test_named_instance_that_is_missing_is_absent(executable: str, capsys: Any) -> None:
    answer = run_module("multipass_vm_info", {"executable": executable, "names": ["vm", "other"]}, capsys)
    assert {name: told["state"] for name, told in answer["instances"].items()} == {
        "vm": "running",
        "other": "absent",
    }


def test_missing_multipass_is_named(tmp_path: Path, capsys: Any) -> None:
    answer = run_module("multipass_vm_info", {"executable": str(tmp_path / "none")}, capsys)
    assert answer["failed"]
    assert "not installed" in answer["msg"]
