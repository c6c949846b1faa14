"""Wrong inventories for multipass are refused before the first machine is made or touched."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import playing
import pytest
import yaml
from playing import ROOT, play

PROGRAMS = ROOT / "lab" / "multipass" / "bin"
MACHINES = ROOT / "playbooks" / "machines.yml"
# Machines of their own, so that neither a scenario nor a person's instances are in the way.
SERVICE = {
    "METALWORKS_MULTIPASS": "refusals-multipass",
    "METALWORKS_MULTIPASS_SUBNET": os.environ.get("METALWORKS_REFUSALS_MULTIPASS_SUBNET", "172.30.11.0/24"),
    "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
}
SIZE = {"multipass_machines_cpus": 1, "multipass_machines_memory": "512M", "multipass_machines_disk": "5G"}
USED = {"multipass_machines_instance": "somebody", "multipass_machines_adopt": True}
HALF_AND_MORE = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') * 6 // 10 >> 20}M"

# The variables of the host vm-1 that are wrong, and the message that must appear. The host vm-2 is right.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "instance_of_somebody_else": (
        {"multipass_machines_instance": "somebody"},
        ["multipass already has an instance somebody (running), which was not made here", "adopt: true"],
    ),
    "smaller_disk_than_the_machine_has": (
        {**USED, "multipass_machines_disk": "2G"},
        [
            "the disk of somebody has 5.0GiB and 2G is wanted",
            "can only make a disk larger",
            "Write 5.0G or more",
        ],
    ),
    "other_size_of_a_running_machine": (
        {**USED, "multipass_machines_memory": "1G"},
        ["somebody is running", "give somebody 1.0GiB of memory instead of 512.0MiB", "resize: restart"],
    ),
    "other_image": (
        {**USED, "multipass_machines_image": "22.04"},
        ["somebody was made from 24.04 LTS, and an instance keeps its image"],
    ),
    "memory_that_is_no_size": (
        {"multipass_machines_memory": "4 gigs"},
        ["memory of vm-1: '4 gigs' is no size: write a number with K, M or G, such as 4G"],
    ),
    "too_little_memory": (
        {"multipass_machines_memory": "256M"},
        ["memory of vm-1 is 256M; multipass takes 512M or more"],
    ),
    "more_memory_than_the_computer_has": (
        {"multipass_machines_memory": "8000G"},
        ["vm-1 is to have 8000G of memory, and this computer has"],
    ),
    "two_hosts_with_one_instance": (
        {"multipass_machines_instance": "vm-2"},
        ["The hosts vm-1, vm-2 have the instances vm-2, vm-2", "give each its own name"],
    ),
    "name_that_multipass_refuses": (
        {"multipass_machines_instance": "1st"},
        ["'1st' is no name for an instance", "begin with a letter"],
    ),
    "unknown_cloud_init_key": (
        {"multipass_machines_cloud_init": {"write_file": [{"path": "/etc/motd", "content": "hello"}]}},
        [
            "cloud_init of vm-1 has the key write_file, which cloud-init does not know",
            "did you mean write_files?",
        ],
    ),
}


def multipass(*words: str) -> str:
    done = subprocess.run(
        ["multipass", *words], env={**os.environ, **SERVICE}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def instances() -> dict[str, Any]:
    return json.loads(multipass("info", "--format", "json"))["info"]


@pytest.fixture(scope="module")
def somebody() -> Iterator[str]:
    """Yield an instance that no inventory made."""
    name = "somebody"
    for left in instances():
        multipass("delete", "--purge", left)
    multipass("launch", "--name", name, "--cpus", "1", "--memory", "512M", "--disk", "5G", "24.04")
    yield name
    multipass("delete", "--purge", name)


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICE.items():
        monkeypatch.setitem(playing.ENVIRONMENT, name, value)


def written(folder: Path, variables: dict[str, Any], **more: Any) -> Path:
    """Write an inventory of two machines, the first of them with these variables."""
    common = {
        "metalworks_machines": "multipass",
        "metalworks_name": "refusals",
        "metalworks_state_dir": str(folder / "state"),
        "jupyterhub_users": [{"name": "ada", "password": "correct-horse-9"}],
        "multipass_machines_name": "refusals",
        "multipass_machines_state_dir": str(folder / "state"),
        "ansible_user": "operator",
        **SIZE,
        **more,
    }
    groups = {"k3s_server": {"hosts": {"vm-1": variables}}, "k3s_agent": {"hosts": {"vm-2": {}}}}
    inventory = {"all": {"vars": common}, "k3s_cluster": {"children": groups}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    (folder / "multipass.yml").write_text("{plugin: multipass, group: k3s_cluster}\n")
    return folder


def assert_refused(inventory: Path, says: list[str]) -> None:
    before = instances()
    outcome = play(MACHINES, inventory)
    assert outcome.code == 2, outcome.said
    for part in says:
        assert part in outcome.said
    assert outcome.changed_nothing
    assert instances() == before
    assert not (inventory / "state").exists()


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(("variables", "says"), CASES.values(), ids=CASES)
def test_machine_is_refused(variables: dict[str, Any], says: list[str], tmp_path: Path) -> None:
    assert_refused(written(tmp_path, variables), says)


@pytest.mark.usefixtures("somebody")
def test_more_memory_than_there_is_for_all_of_them(tmp_path: Path) -> None:
    inventory = written(tmp_path, {}, multipass_machines_memory=HALF_AND_MORE)
    assert_refused(inventory, ["The machines vm-1, vm-2 are to have", "of memory together", "Give them less"])


@pytest.mark.parametrize("playbook", ["cluster", "images", "jupyterhub", "verify"])
def test_playbook_alone_on_a_machine_that_does_not_run(
    somebody: str, playbook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = written(tmp_path, USED, ansible_connection="local")
    multipass("stop", somebody)
    try:
        outcome = play(ROOT / "playbooks" / f"{playbook}.yml", inventory)
    finally:
        multipass("start", somebody)
    assert outcome.code == 2, outcome.said
    assert "vm-1 cannot be reached: multipass's instance somebody is stopped" in outcome.said
    assert "vm-2 cannot be reached: multipass's instance vm-2 is absent" in outcome.said
    assert "run playbooks/machines.yml with this inventory" in outcome.said
    assert outcome.changed_nothing


def test_instance_in_the_bin(somebody: str, tmp_path: Path) -> None:
    multipass("delete", somebody)
    try:
        says = ["somebody is deleted but not purged", "deleted: recover", "deleted: purge"]
        assert_refused(written(tmp_path, USED), says)
    finally:
        multipass("recover", somebody)
        multipass("start", somebody)


def test_computer_without_multipass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(playing.ENVIRONMENT, "PATH", f"{ROOT}/.venv/bin:/usr/bin:/bin")
    assert_refused(
        written(tmp_path, {}),
        ["multipass is not installed on this computer", "`sudo snap install multipass`"],
    )


def test_service_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The stand-in's service is Docker.
    monkeypatch.setitem(playing.ENVIRONMENT, "DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert_refused(
        written(tmp_path, {}), ["multipass's service does not answer", "sudo snap restart multipass"]
    )
