"""A person gets in, a machine with another key does not, and one that is silent is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import testinfra
from tests.support.playbooks import Outcome, play
from tests.support.scenario import INVENTORIES, STATE

SCENARIO = Path(__file__).parents[1]
FOLDER = STATE / "ssh" / "second"
FOREIGN_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNvbWVib2R5IGVsc2UgYW5kIG5vdCB0aGUgbWFjaGlu"
computer = testinfra.get_host("local://")


def converge(*options: str) -> Outcome:
    """Run the role again, on the machines that the options leave."""
    return play(SCENARIO / "converge.yml", INVENTORIES / "two_machines.yml", *options).check()


def ssh(name: str) -> Any:
    return computer.run(f"ssh -o BatchMode=yes -F '{FOLDER}/config' {name} hostname")


def test_person_gets_in_with_the_ssh_config(host: Any) -> None:
    name = host.check_output("hostname")
    assert ssh(name).stdout.strip() == name


def test_keys_are_the_operators_alone() -> None:
    assert computer.file(str(FOLDER)).mode == 0o700
    assert computer.file(f"{FOLDER}/id_ed25519").mode == 0o600


def test_run_for_one_machine_takes_nobody_out() -> None:
    assert converge("--limit", "agent-1").changed_nothing
    assert ssh("server-1").rc == 0


@pytest.fixture
def foreign_key() -> None:
    """known_hosts expects another machine at each address."""
    known = FOLDER / "known_hosts"
    addresses = [line.split()[0] for line in known.read_text().splitlines()]
    known.write_text("".join(f"{address} {FOREIGN_KEY}\n" for address in addresses))


@pytest.mark.usefixtures("foreign_key")
def test_machine_with_another_key_is_not_trusted_until_its_key_was_read() -> None:
    refused = ssh("agent-1")
    assert refused.rc == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr
    converge()
    assert ssh("agent-1").rc == 0
    assert FOREIGN_KEY not in (FOLDER / "known_hosts").read_text()


def test_silent_machine_is_named_with_where_to_look(tmp_path: Path) -> None:
    given = {
        "ansible_host": "192.0.2.9",  # of documentation: nobody has it
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "machine_access_dir": str(tmp_path),
        "machine_access_host_key": FOREIGN_KEY,
        "machine_access_timeout_seconds": 2,
        "machine_access_diagnosis": "Look at its console.",
    }
    role = ("--module-name", "include_role", "--args", "name=machine_access")
    done = subprocess.run(
        ["ansible", "silent", "--inventory", "silent,", *role, "--extra-vars", json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "sshd of silent (192.0.2.9) did not answer within 2 s. Look at its console." in done.stdout
