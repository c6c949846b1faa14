"""k3s_absent as a task sees it: what it says, what it does, and that it removes no file below a mount."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import library.nodes.k3s_absent as module
import pytest
from ansible.module_utils.metalworks.common.nodes import Node
from ansible.module_utils.metalworks.common.systemd import Unit
from ansible.module_utils.metalworks.k3s.remains import Remains
from tests.support.modules import run_module


class Machine:
    """A machine on which commands are recorded, and one file of k3s lies."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.commands: list[tuple[str, str | None]] = []
        self.mounts: list[str] = []
        self.loaded = True
        self.file = tmp_path / "agent"
        self.file.mkdir()
        monkeypatch.setattr(module.AnsibleModule, "run_command", self.run)
        monkeypatch.setattr(module, "read_processes", list)
        monkeypatch.setattr(module, "read_unit", lambda *_: Unit("k3s", load="loaded" if self.loaded else ""))
        monkeypatch.setattr(module, "read_remains", lambda *_: self.remains())
        monkeypatch.setattr(module, "mounts_of_k3s", lambda *_: list(self.mounts))

    def remains(self) -> Remains:
        if not self.file.exists():
            return Remains()
        return Remains(
            links=["cni0"], namespaces=["cni-1"], rules={"iptables-restore": "*nat"}, files=[str(self.file)]
        )

    def run(self, command: list[str], data: str | None = None, **__: Any) -> tuple[int, str, str]:
        self.commands.append((" ".join(command), data))
        if command[0] == "umount" and command[-1] != "/busy":
            self.mounts.remove(command[-1])
        return 0, "", ""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


PARAMS = {"role": "agent", "data": "/srv/k3s"}


def test_all_goes_in_the_order_in_which_nothing_comes_back(machine: Machine, capsys: Any) -> None:
    machine.mounts = ["/run/k3s/a"]
    answer = run_module("k3s_absent", PARAMS, capsys)
    assert answer["changed"]
    assert machine.commands == [
        ("systemctl disable --now k3s-agent.service", None),
        ("umount --lazy /run/k3s/a", None),
        ("ip netns delete cni-1", None),
        ("ip link delete cni0", None),
        ("iptables-restore", "*nat"),
        ("systemctl daemon-reload", None),
    ]
    assert not machine.file.exists()
    machine.loaded = False
    assert not run_module("k3s_absent", PARAMS, capsys)["changed"]


def test_a_check_only_says_what_would_go(machine: Machine, capsys: Any) -> None:
    answer = run_module("k3s_absent", PARAMS, capsys, check=True)
    assert answer["removed"][0] == "unit k3s-agent.service"
    assert machine.commands == []
    assert machine.file.exists()


def test_no_file_goes_while_something_is_mounted(machine: Machine, capsys: Any) -> None:
    machine.mounts = ["/busy"]
    answer = run_module("k3s_absent", PARAMS, capsys)
    assert "Still mounted: /busy. No file was removed" in answer["msg"]
    assert machine.file.exists()


def server(*roles: str, name: str) -> Node:
    return Node(name=name, ready=True, roles=list(roles))


@pytest.mark.parametrize(
    ("nodes", "more", "refused"),
    [
        ({"a": "etcd", "b": "etcd", "c": "etcd"}, {}, "together with b, c"),
        ({"a": "etcd", "b": "etcd"}, {"whole_cluster": True}, ""),
        ({"b": "etcd", "c": "etcd"}, {}, ""),  # its node was deleted
        ({"a": "etcd", "b": "worker"}, {}, ""),  # it is alone, so that nobody counts with it
        ({"a": "control-plane", "b": "etcd"}, {}, ""),  # it left etcd and stays as a node
        ({}, {}, ""),  # its API does not answer
    ],
)
def test_a_server_that_is_a_member_is_kept(
    nodes: dict[str, str],
    more: dict[str, Any],
    refused: str,
    machine: Machine,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "server" / "db" / "etcd" / "member" / "wal").mkdir(parents=True)
    found = [server(role, name=name) for name, role in nodes.items()]
    monkeypatch.setattr(module, "read_nodes", lambda *_: found)
    answer = run_module("k3s_absent", {"role": "server", "node": "a", "data": str(tmp_path), **more}, capsys)
    assert answer["failed"] == bool(refused)
    assert refused in answer.get("msg", "")
    assert machine.file.exists() == bool(refused)
    assert bool(machine.commands) != bool(refused)


def test_mounts_are_searched_below_the_folder_as_the_kernel_writes_it(
    machine: Machine, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a disk below the folder would still be mounted when the folder is removed."""
    searched: list[str] = []

    def remember(_run: object, data: str, _files: object) -> Remains:
        searched.append(data)
        return Remains()

    monkeypatch.setattr(module, "read_remains", remember)
    run_module("k3s_absent", {**PARAMS, "data": "//srv//k3s/"}, capsys)
    assert searched == ["/srv/k3s"]


def test_nobody_is_asked_about_a_server_with_sqlite(
    machine: Machine, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "read_nodes", lambda *_: pytest.fail("asked"))
    assert run_module("k3s_absent", {"role": "server", "node": "a", "data": str(tmp_path)}, capsys)["changed"]
    assert not machine.file.exists()
