"""A good machine is accepted and left as it was. What is refused, and how, is proven by tests/refusals."""

from __future__ import annotations

from typing import Any


def test_nothing_was_installed_or_written(host: Any) -> None:
    assert host.file("/run/before").exists
    assert host.check_output("find /etc /usr /opt /root -xdev -type f -newer /run/before") == ""
    assert not host.file("/var/lib/rancher").exists


def test_no_port_was_left_open(host: Any) -> None:
    for port in (6443, 10250, 2379, 2380):
        assert not host.socket(f"tcp://{port}").is_listening


def test_no_temporary_file_was_left(host: Any) -> None:
    assert host.check_output("find ~operator /tmp /var/tmp -name 'ansible-tmp-*'") == ""
