"""Test the command line of multipass on which Metalworks relies (lab/multipass/CONTRACT.md).

The tests run the stand-in. With METALWORKS_MULTIPASS_COMMAND=multipass they run the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STAND_IN = Path(__file__).resolve().parents[2] / "lab" / "multipass" / "bin" / "multipass"
COMMAND = os.environ.get("METALWORKS_MULTIPASS_COMMAND", str(STAND_IN))
# These tests have a service of their own, so that the instances of people and of other tests are not touched.
SERVICE = {"METALWORKS_MULTIPASS": "contract-multipass", "METALWORKS_MULTIPASS_SUBNET": "172.30.13.0/24"}
USER_DATA = """#cloud-config
users:
  - default
  - {name: ada, groups: adm, sudo: "ALL=(ALL) NOPASSWD:ALL", ssh_authorized_keys: [ssh-ed25519 AAAA ada]}
write_files:
  - {path: /etc/first-boot, content: "it's $HOME\\n", permissions: "0600"}
runcmd:
  - echo ran > /root/ran
  - [touch, /root/list]
"""


def multipass(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words],
        env={**SERVICE, **os.environ},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def done(*words: str, stdin: str = "") -> str:
    answer = multipass(*words, stdin=stdin)
    assert answer.returncode == 0, f"{words}: {answer.stderr}"
    return answer.stdout


def refused(*words: str) -> tuple[int, str]:
    answer = multipass(*words)
    assert answer.returncode != 0, words
    return answer.returncode, answer.stderr


def state(name: str) -> str:
    told: dict[str, Any] = json.loads(done("info", name, "--format", "json"))
    return str(told["info"][name]["state"])


@pytest.fixture(scope="module")
def vm() -> Iterator[str]:
    """Yield an instance that the tests of this file share; each test leaves it running."""
    name = f"contract-{uuid.uuid4().hex[:6]}"
    size = ("--cpus", "1", "--memory", "1G", "--disk", "5G")
    done("launch", "--name", name, *size, "--cloud-init", "-", "--timeout", "600", "24.04", stdin=USER_DATA)
    yield name
    multipass("delete", "--purge", name)


def test_instance_runs_and_has_an_address(vm: str) -> None:
    told = json.loads(done("info", vm, "--format", "json"))
    assert told["errors"] == []
    assert told["info"][vm]["state"] == "Running"
    assert told["info"][vm]["ipv4"]
    (entry,) = [each for each in json.loads(done("list", "--format", "json"))["list"] if each["name"] == vm]
    assert entry["ipv4"] == told["info"][vm]["ipv4"]


def test_instance_without_an_address_runs_and_shows_a_word(vm: str) -> None:
    """Only on the stand-in, whose machine can be taken off its network and put back."""
    service = {**SERVICE, **os.environ}["METALWORKS_MULTIPASS"]
    names = (f"metalworks-{service}", f"{service}-{vm}")
    address = json.loads(done("info", vm, "--format", "json"))["info"][vm]["ipv4"][0]
    taken = subprocess.run(["docker", "network", "disconnect", *names], capture_output=True, check=False)
    if taken.returncode != 0:
        pytest.skip("this is a real multipass")
    try:
        told = json.loads(done("info", vm, "--format", "json"))["info"][vm]
    finally:
        subprocess.run(["docker", "network", "connect", "--ip", address, *names], check=True)
    assert (told["state"], told["ipv4"]) == ("Running", ["N/A"])


def test_cloud_init_has_finished(vm: str) -> None:
    assert "status: done" in done("exec", vm, "--", "cloud-init", "status", "--wait")


def test_cloud_init_made_users_files_and_ran_commands(vm: str) -> None:
    assert "(adm)" in done("exec", vm, "--", "id", "ada")
    assert done("exec", vm, "--", "sudo", "cat", "/home/ada/.ssh/authorized_keys").startswith(
        "ssh-ed25519 AAAA"
    )
    assert done("exec", vm, "--", "sudo", "-u", "ada", "sudo", "id", "-u") == "0\n"
    assert done("exec", vm, "--", "sudo", "cat", "/etc/first-boot") == "it's $HOME\n"
    assert done("exec", vm, "--", "sudo", "cat", "/root/ran") == "ran\n"
    assert done("exec", vm, "--", "sudo", "ls", "/root/list") == "/root/list\n"


def test_exec_is_the_default_user_and_keeps_exit_code_and_input(vm: str) -> None:
    assert done("exec", vm, "--", "id", "-un") == "ubuntu\n"
    assert done("exec", vm, "--", "cat", stdin="through\n") == "through\n"
    assert multipass("exec", vm, "--", "sh", "-c", "exit 7").returncode == 7


def test_file_goes_there_and_back(vm: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("hello\n")
    done("transfer", str(tmp_path / "there"), f"{vm}:carried")
    assert done("exec", vm, "--", "stat", "-c", "%U", "carried") == "ubuntu\n"
    done("transfer", f"{vm}:carried", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "hello\n"


def test_name_is_taken_once(vm: str) -> None:
    code, said = refused("launch", "--name", vm)
    assert code == 2
    assert f'launch failed: instance "{vm}" already exists' in said


def test_missing_instance_is_named() -> None:
    for verb in ("info", "start", "stop", "delete"):
        code, said = refused(verb, "nobody-here")
        assert code == 2
        assert 'instance "nobody-here" does not exist' in said


def test_sizes_change_when_stopped_and_a_disk_only_grows(vm: str) -> None:
    code, said = refused("set", f"local.{vm}.memory=2G")
    assert code == 2
    assert "Instance must be stopped for modification" in said
    done("stop", vm)
    assert state(vm) == "Stopped"
    done("set", f"local.{vm}.memory=2G")
    done("set", f"local.{vm}.disk=6G")
    assert done("get", f"local.{vm}.memory") == "2.0GiB\n"
    assert "Disk can only be expanded" in refused("set", f"local.{vm}.disk=5G")[1]
    assert "is not running" in refused("exec", vm, "--", "true")[1]
    done("start", vm)
    assert state(vm) == "Running"


def test_suspended_instance_goes_on(vm: str) -> None:
    done("suspend", vm)
    assert state(vm) == "Suspended"
    done("start", vm)
    assert state(vm) == "Running"


def test_what_is_there_already_is_left_alone(vm: str) -> None:
    done("start", vm)
    assert state(vm) == "Running"


def test_deleted_instance_keeps_name_and_data_until_it_is_recovered(vm: str) -> None:
    done("delete", vm)
    assert state(vm) == "Deleted"
    assert "already exists" in refused("launch", "--name", vm)[1]
    assert "deleted" in refused("start", vm)[1]
    done("recover", vm)
    assert state(vm) == "Stopped"
    done("start", vm)
    assert done("exec", vm, "--", "sudo", "cat", "/root/ran") == "ran\n"
    assert "status: done" in done("exec", vm, "--", "cloud-init", "status", "--wait")


def test_failed_command_of_cloud_init_is_told() -> None:
    name = f"contract-{uuid.uuid4().hex[:6]}"
    try:
        multipass("launch", "--name", name, "--cloud-init", "-", stdin="#cloud-config\nruncmd: ['exit 3']\n")
        answer = multipass("exec", name, "--", "cloud-init", "status", "--wait")
        assert (answer.returncode, "status: error" in answer.stdout) == (1, True)
    finally:
        done("delete", "--purge", name)
    assert "does not exist" in refused("info", name)[1]


@pytest.mark.skipif(str(STAND_IN) != COMMAND, reason="The real multipass uses no containers of Docker.")
def test_instance_whose_container_and_network_are_gone_can_be_purged() -> None:
    service = {"METALWORKS_MULTIPASS": "contract-gone", "METALWORKS_MULTIPASS_SUBNET": "172.30.23.0/24"}
    gone = {**os.environ, **service}
    subprocess.run([COMMAND, "launch", "--name", "gone", "24.04"], env=gone, check=True)
    subprocess.run(["docker", "rm", "--force", "contract-gone-gone"], check=True)
    subprocess.run(["docker", "network", "rm", "metalworks-contract-gone"], check=True)
    subprocess.run([COMMAND, "delete", "--purge", "gone"], env=gone, check=True)
    listed = subprocess.run([COMMAND, "list", "--format", "json"], env=gone, capture_output=True, check=True)
    assert json.loads(listed.stdout) == {"list": []}


def test_key_that_cloud_init_does_not_know_is_named() -> None:
    name = f"contract-{uuid.uuid4().hex[:6]}"
    try:
        done("launch", "--name", name, "--cloud-init", "-", stdin="#cloud-config\nflavour: mint\n")
        status = multipass("exec", name, "--", "cloud-init", "status", "--wait")
        assert "status: done" in status.stdout
        schema = multipass("exec", name, "--", "sudo", "cloud-init", "schema", "--system")
        assert schema.returncode == 1
        assert "'flavour' was unexpected" in schema.stdout + schema.stderr
    finally:
        done("delete", "--purge", name)
