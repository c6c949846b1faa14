"""The machines are let into, started again, resized, refused when they are somebody else's, removed whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import testinfra
from lab.multipass import machines, records
from tests.support.playbooks import Outcome, play

SCENARIO = Path(__file__).parents[1]
STATE = SCENARIO / "inventory" / ".state" / "molecule"
computer = testinfra.get_host("local://")


def run(playbook: str, *options: str, inventory: str = "inventory", **variables: Any) -> Outcome:
    """Run a playbook of the scenario as a person would."""
    return play(SCENARIO / playbook, SCENARIO / inventory, *options, **variables)


def states() -> dict[str, str]:
    listed = json.loads(computer.check_output("multipass list --format json"))["list"]
    return {instance["name"]: instance["state"] for instance in listed}


def give_another_address(name: str) -> None:
    """As a lease that ran out; the stand-in's machines have an address for life otherwise."""
    record = records.read_all(records.state_folder())[name]
    first, _, last = record.address.rpartition(".")
    record.address = f"{first}.{int(last) + 100}"
    container, network = machines.container(name), machines.network()
    machines.docker("network", "disconnect", network, container)
    machines.docker("network", "connect", "--ip", record.address, network, container)
    records.write(records.state_folder(), record)


def test_machine_is_reached_by_an_operator_who_becomes_root(host: Any) -> None:
    assert host.check_output("id -un") == "root"
    assert host.check_output("echo $SUDO_USER") == "operator"


def test_machine_has_the_hosts_name_and_runs_without_a_failed_unit(host: Any) -> None:
    assert host.check_output("hostname") in ("vm-1", "vm-2")
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_first_boot_did_what_it_was_told(host: Any) -> None:
    assert host.file("/etc/first-boot").content_string == "seen\n"
    assert host.file("/root/ran").content_string == "ran\n"
    assert host.user("ada").exists  # beside the operator


def test_password_lets_nobody_in(host: Any) -> None:
    assert host.check_output("passwd --status operator").split()[1] == "L"


def test_person_gets_in_with_the_ssh_config(host: Any) -> None:
    name = host.check_output("hostname")
    assert computer.check_output(f"ssh -F {STATE}/ssh/config {name} hostname") == name


class TestLife:
    """One after the other; the last removes what the scenario made."""

    def test_stopped_machine_is_started_again(self) -> None:
        computer.check_output("multipass stop vm-2")
        run("converge.yml").check()
        assert states() == {"vm-1": "Running", "vm-2": "Running"}

    def test_machine_that_comes_back_with_another_address_is_followed(self) -> None:
        computer.check_output("multipass stop vm-2")
        give_another_address("vm-2")
        run("converge.yml").check()
        assert computer.check_output(f"ssh -F {STATE}/ssh/config vm-2 hostname") == "vm-2"

    def test_machine_whose_address_nobody_tells_is_refused(self) -> None:
        refused = run("converge.yml", inventory="inventory/hosts.yml")  # without the plugin's file
        assert refused.code == 2
        assert "vm-1 runs, but the inventory has no address for vm-1" in refused.said
        assert "address_in" in refused.said

    def test_running_machine_of_another_size_is_refused_and_left_alone(self) -> None:
        refused = run("converge.yml", "--limit", "vm-2", multipass_machines_cpus=2)
        assert refused.code == 2
        assert "give vm-2 2 cpus instead of 1" in refused.said
        assert computer.check_output("multipass get local.vm-2.cpus") == "1"

    def test_machine_is_resized_when_it_may_restart(self) -> None:
        run(
            "converge.yml",
            "--limit",
            "vm-2",
            multipass_machines_cpus=2,
            multipass_machines_resize="restart",
        ).check()
        assert computer.check_output("multipass get local.vm-2.cpus") == "2"
        assert states()["vm-2"] == "Running"

    def test_smaller_disk_is_refused(self) -> None:
        refused = run(
            "converge.yml", "--limit", "vm-2", multipass_machines_disk="2G", multipass_machines_cpus=2
        )
        assert refused.code == 2
        assert "multipass can only make a disk larger" in refused.said

    def test_machine_in_the_bin_is_refused_then_recovered(self) -> None:
        computer.check_output("multipass delete vm-2")
        refused = run("converge.yml", "--limit", "vm-2", multipass_machines_cpus=2)
        assert refused.code == 2
        assert "deleted but not purged" in refused.said
        run(
            "converge.yml",
            "--limit",
            "vm-2",
            multipass_machines_cpus=2,
            multipass_machines_deleted="recover",
        ).check()
        assert states()["vm-2"] == "Running"

    def test_instance_of_somebody_else_is_refused_and_never_removed(self) -> None:
        record = STATE / "instances" / "vm-2"
        kept = record.read_text()
        record.unlink()
        refused = run("converge.yml", "--limit", "vm-2")
        assert refused.code == 2
        assert "multipass already has an instance vm-2 (running)" in refused.said
        assert run("destroy.yml", "--limit", "vm-2").code == 0
        assert states()["vm-2"] == "Running"
        record.write_text(kept)

    def test_instance_that_took_the_name_of_ours_is_refused_and_stays(self) -> None:
        computer.check_output("multipass delete --purge vm-2")
        computer.check_output("multipass launch --name vm-2 --cpus 1 --memory 1G --disk 5G 24.04")
        refused = run("converge.yml", "--limit", "vm-2")
        assert refused.code == 2
        assert "multipass already has an instance vm-2 (running)" in refused.said
        assert run("destroy.yml", "--limit", "vm-2").code == 0
        assert states()["vm-2"] == "Running"
        assert not (STATE / "instances" / "vm-2").exists()

    def test_adopted_machine_lets_the_operator_in_and_is_never_removed(self) -> None:
        adopted = {"multipass_machines_adopt": True}
        refused = run("converge.yml", "--limit", "vm-2", **adopted)
        assert refused.code == 2
        assert "vm-2 (" in refused.said
        assert "does not let operator in with the key" in refused.said
        key = (STATE / "ssh" / "id_ed25519.pub").read_text().strip()
        account = (
            "getent group operator || groupadd operator; "
            "id operator || useradd --create-home --gid operator --shell /bin/bash operator; "
            f"cd ~operator && mkdir -p .ssh && echo '{key}' > .ssh/authorized_keys && chown -R operator .ssh"
        )
        computer.check_output("multipass exec vm-2 -- sudo bash -c %s", account)
        used = run("converge.yml", "--limit", "vm-2", **adopted)
        assert used.code == 0, used.output
        assert run("destroy.yml", "--limit", "vm-2", **adopted).code == 0
        assert states()["vm-2"] == "Running"
        computer.check_output("multipass delete --purge vm-2")

    def test_service_that_does_not_answer_is_named_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        refused = run("converge.yml")
        assert refused.code == 2
        assert "multipass's service does not answer" in refused.said
        assert "sudo snap restart multipass" in refused.said

    def test_machine_in_the_bin_does_not_tell_which_it_is_and_stays(self) -> None:
        computer.check_output("multipass delete vm-1")
        refused = run("destroy.yml")
        assert refused.code == 2
        assert "vm-1 is deleted but not purged" in refused.said
        assert states()["vm-1"] == "Deleted"
        computer.check_output("multipass recover vm-1")  # stopped now

    def test_removed_machines_leave_nothing_behind(self) -> None:
        run("destroy.yml").check()
        assert states() == {}
        assert not (STATE / "ssh").exists()
        assert not (STATE / "instances").exists()
