"""A machine that the role prepared can carry a node, and the computer under a container is left alone."""

from __future__ import annotations

from typing import Any

CONF = "/etc/sysctl.d/90-metalworks.conf"


def test_packets_are_forwarded_now(host: Any) -> None:
    assert host.sysctl("net.ipv4.ip_forward") == 1


def test_packets_are_forwarded_after_a_boot(host: Any) -> None:
    file = host.file(CONF)
    assert file.mode == 0o644
    assert "net.ipv4.ip_forward = 1\n" in file.content_string


def test_what_belongs_to_the_computers_kernel_is_not_set_from_a_container(host: Any) -> None:
    assert host.run("systemd-detect-virt --container --quiet").rc == 0, "this machine is a container"
    assert "fs.inotify" not in host.file(CONF).content_string
    assert not host.file("/etc/modules-load.d/metalworks.conf").exists


def test_the_machine_knows_its_own_name(host: Any) -> None:
    name = host.check_output("hostname")
    assert host.run(f"getent hosts {name}").rc == 0


def test_sudo_does_not_stumble_over_the_name(host: Any) -> None:
    answer = host.run("sudo --non-interactive true")
    assert (answer.rc, answer.stderr) == (0, "")
