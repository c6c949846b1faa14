"""The machines are what roles expect of any machine; they are revived, refused when they differ, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import testinfra
from tests.support.playbooks import Outcome, play
from tests.support.scenario import INVENTORIES, LAB, NETWORK, STATE

SHARED = INVENTORIES.parent
computer = testinfra.get_host("local://")


def run(playbook: str, **variables: Any) -> Outcome:
    """Run a shared playbook as a person would."""
    return play(SHARED / playbook, INVENTORIES / "two_machines.yml", **variables)


def machines(*filters: str) -> set[str]:
    """The names of this lab's containers."""
    chosen = " ".join(f"--filter {item}" for item in (f"label=metalworks={LAB}", *filters))
    return set(computer.check_output("docker ps --all --format '{{.Names}}' " + chosen).split())


def test_machine_is_reached_by_an_operator_who_becomes_root(host: Any) -> None:
    assert host.check_output("id -un") == "root"
    assert host.check_output("echo $SUDO_USER") == "operator"


def test_machine_runs_systemd_without_a_failed_unit(host: Any) -> None:
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_machine_shares_no_cgroup_with_another(host: Any) -> None:
    # A process of another machine would show as 0; stopping a service would then stop the neighbour's too.
    processes = host.check_output("find /sys/fs/cgroup -name cgroup.procs -exec cat {} +").split()
    assert len(processes) > 5
    assert "0" not in processes


def test_machine_has_its_own_identity(host: Any) -> None:
    others = {
        other.check_output("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub")
        for other in testinfra.get_hosts(
            ["ansible://k3s_cluster"], ansible_inventory=str(INVENTORIES / "two_machines.yml")
        )
    }
    assert len(others) == 2


def test_machine_keeps_its_data_on_a_volume(host: Any) -> None:
    assert host.mount_point("/var/lib").filesystem not in ("overlay", "tmpfs")


def test_person_gets_in_with_the_ssh_config(host: Any) -> None:
    config = STATE / "ssh" / "config"
    name = host.check_output("hostname")
    assert computer.check_output(f"ssh -F {config} {name} hostname") == name


class TestLife:
    """One after the other; the last removes what the scenario made."""

    def test_stopped_machine_is_started_again(self) -> None:
        computer.check_output(f"docker stop {LAB}-agent-1")
        assert machines("status=running") == {f"{LAB}-server-1"}
        run("create.yml").check()
        assert machines("status=running") == {f"{LAB}-server-1", f"{LAB}-agent-1"}

    def test_machine_that_differs_is_refused_by_name_and_left_alone(self) -> None:
        before = computer.check_output(
            f"docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {LAB}-server-1"
        )
        refused = run("create.yml", lab_machines_outdated="refuse", lab_machines_memory="1g")
        assert refused.code == 2
        assert f"server-1 (container {LAB}-server-1) was made with another memory." in refused.said
        assert "lab_machines_outdated=replace" in refused.said
        after = computer.check_output(
            f"docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {LAB}-server-1"
        )
        assert after == before

    @pytest.mark.parametrize("playbook", ["create.yml", "destroy.yml"])
    def test_machines_of_another_checkout_are_left_alone(self, playbook: str, tmp_path: Path) -> None:
        def state() -> str:
            own = "cat /home/operator/.ssh/authorized_keys"
            ids = "docker ps --all --no-trunc --format '{{.ID}} {{.State}}' --filter label=metalworks=" + LAB
            return computer.check_output(f"docker exec {LAB}-server-1 {own} && {ids}")

        before = state()
        other = tmp_path / "other checkout"
        refused = run(playbook, lab_machines_outdated="refuse", lab_machines_state_dir=str(other))
        assert refused.code == 2
        made_by = STATE.resolve()
        assert f"another checkout made: its folder is {made_by}" in refused.said
        assert "LAB=" in refused.said
        assert "lab_machines_outdated=replace" in refused.said
        assert not other.exists()
        assert state() == before

    def test_machine_has_the_default_route_in_a_further_network(self) -> None:
        third = NETWORK.split(".")[2]
        further = {"name": f"a-{LAB}", "subnet": f"198.18.{third}.0/24", "isolated": True}
        address = {"address": "{{ ansible_host | replace('" + NETWORK + ".', '198.18." + third + ".') }}"}
        run("create.yml", lab_machines_networks=[further | address]).check()
        inside = f"docker exec {LAB}-server-1"
        assert f"default via 198.18.{third}.1 " in computer.check_output(f"{inside} ip route")
        own, other = (
            computer.check_output(f"docker exec {LAB}-{name} hostname -I").split()
            for name in ("server-1", "agent-1")
        )
        assert len(own) == len(other) == 2
        answers = [
            computer.run(f"{inside} timeout 5 bash -c 'exec 3<>/dev/tcp/{it}/22'").rc == 0 for it in other
        ]
        assert answers == [it.startswith(f"{NETWORK}.") for it in other]

    def test_docker_that_does_not_answer_is_named_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        refused = run("create.yml")
        assert refused.code == 2
        assert "Docker does not answer on this computer" in refused.output
        assert "`make setup`" in refused.output

    def test_removed_lab_leaves_nothing_behind(self) -> None:
        run("destroy.yml").check()
        assert machines() == set()
        for kind in ("volume", "network"):
            assert computer.check_output(f"docker {kind} ls --quiet --filter label=metalworks={LAB}") == ""
        assert not (STATE / "ssh").exists()
