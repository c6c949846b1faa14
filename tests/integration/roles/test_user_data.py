"""The user data of machines is what cloud-init reads: a first line of its own, and every key after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.modules import ROOT
from tests.support.playbooks import play


@pytest.mark.parametrize("role", ["aws_machines", "multipass_machines"])
def test_no_key_is_lost_behind_the_first_line(role: str, tmp_path: Path) -> None:
    inventory, playbook = tmp_path / "hosts", tmp_path / "play.yml"
    inventory.write_text("localhost ansible_connection=local\n")
    tasks: list[Any] = [
        {
            "ansible.builtin.copy": {
                "content": f"{{{{ __{role}_cloud_init }}}}",
                "dest": str(tmp_path / "data"),
                "mode": "0600",
            }
        }
    ]
    variables = {
        f"__{role}_user_data": {"hostname": "one", "users": ["default"]},
        f"{role}_cloud_init": {"apt": {"preserve_sources_list": True}, "users": ["ada"]},
    }
    files = [str(ROOT / "roles" / role / "vars" / "main.yml")]
    playbook.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": tasks}])
    )
    play(playbook, inventory, **variables).check()
    first, _, rest = (tmp_path / "data").read_text().partition("\n")
    assert first == "#cloud-config"
    assert yaml.safe_load(rest) == {
        "apt": {"preserve_sources_list": True},
        "hostname": "one",
        "users": ["default", "ada"],
    }
