"""One look at this computer: what the module reads is really there."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import pytest
from ansible.module_utils.metalworks.common.architectures import architecture
from library.nodes import preflight_machine
from tests.support.modules import run_module

MINIMAL: dict[str, Any] = {
    "role": "agent",
    "architecture": architecture(os.uname().machine),
    "k3s_version": "v1.34.4+k3s1",
    "memory_mib": 1,
    "disk_gib": 0.001,
}


def look(capsys: pytest.CaptureFixture[str], **given: Any) -> dict[str, Any]:
    return run_module("preflight_machine", {**MINIMAL, "operator_time": time.time(), **given}, capsys)


def test_look_changes_nothing_and_sees_this_computer(capsys: pytest.CaptureFixture[str]) -> None:
    answer = look(capsys)
    assert not answer["changed"]
    assert answer["facts"]["hostname"] == socket.gethostname()
    assert answer["facts"]["memory_mib"] > 100
    assert answer["facts"]["disk_free_gib"] > 0


def test_clock_is_compared_with_the_operators(capsys: pytest.CaptureFixture[str]) -> None:
    answer = look(capsys, operator_time=time.time() - 120)
    assert any("s ahead of the operator's computer" in sentence for sentence in answer["problems"])


def test_address_of_this_computer_is_told_from_another() -> None:
    assert preflight_machine.is_local("127.0.0.1")
    assert not preflight_machine.is_local("192.0.2.1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees whose sockets they are")
def test_who_listens_on_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        owners = preflight_machine.strangers((port,))
    assert owners.keys() == {port}
    assert f"(pid {os.getpid()})" in owners[port]


def test_port_that_nobody_has_has_no_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert preflight_machine.strangers((port,)) == {}
