"""k3s_cluster_info: what it reads, how it waits, and what it says when it gives up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import library.nodes.k3s_cluster_info as module
import pytest
from ansible.module_utils.metalworks.common.nodes import parse_node
from ansible.module_utils.metalworks.k3s.cause import likely_cause, telling_lines
from ansible.module_utils.metalworks.k3s.cluster import read_datastore, read_membership
from tests.support.modules import cases, run_module


def node(
    name: str,
    ready: bool = True,
    message: str = "kubelet is posting ready status",
    heard: str = "2026-11-21T02:00:00Z",
) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": str(ready),
        "reason": "Kubelet",
        "message": message,
        "lastHeartbeatTime": heard,
    }
    return {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": "true", "a": "b"}},
        "status": {
            "conditions": [condition],
            "nodeInfo": {"kubeletVersion": "v1.34.4+k3s1"},
            "addresses": [
                {"type": "InternalIP", "address": "192.168.7.11"},
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": "2001:db8::11"},
            ],
        },
    }


class Machine:
    """Answers as the programs on a machine would; each poll may see the next state."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.polls = 0

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        if command[0] == "systemctl":
            return 0, self.state(command[-1]), ""
        if command[0] == "journalctl":
            return 0, "\n".join(self.case.get("journal", [])), ""
        if "/readyz" in command:
            return (0, "ok", "") if self.case.get("ready", True) else (1, "", "connection refused")
        if "events" in command:
            return 0, json.dumps({"items": self.case.get("events", [])}), ""
        ready = self.case.get("nodes", {})
        return 0, json.dumps({"items": [node(name, **state) for name, state in ready.items()]}), ""

    def state(self, unit: str) -> str:
        states = self.case.get("unit", {}).get(unit, [])
        if not states:
            return "LoadState=not-found\nActiveState=inactive\n"
        state = states[min(self.polls, len(states) - 1)]
        self.polls += 1
        return "".join(f"{key}={value}\n" for key, value in {"LoadState": "loaded", **state}.items())


@pytest.mark.parametrize("case", cases(__file__))
def test_k3s_cluster_info(case: dict[str, Any], monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    binary = tmp_path / "k3s"
    if case.get("installed", True):
        binary.with_name("k3s-v1.34.4+k3s1").touch()
        binary.symlink_to("k3s-v1.34.4+k3s1")
    monkeypatch.setattr(module, "runner", lambda _: Machine(case))
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    places = {"binary": str(binary), "config": str(tmp_path / "config.yaml"), "data": str(tmp_path)}
    answer = run_module(
        "k3s_cluster_info", {**places, **case.get("input", {})}, capsys, check=case.get("check", False)
    )
    assert answer["failed"] is case.get("fails", False), answer
    assert not answer.get("changed", False)
    expected = case.get("output", {})
    assert {key: answer.get(key) for key in expected} == expected
    for part in case.get("says", []):
        assert part in answer["msg"]


def test_a_node_is_read_with_its_first_address() -> None:
    found = parse_node(node("metal-1"))
    assert (found.name, found.ready, found.roles) == ("metal-1", True, ["control-plane"])
    assert (found.version, found.internal_ip) == ("v1.34.4+k3s1", "192.168.7.11")


def test_a_node_that_has_just_registered_is_not_ready() -> None:
    assert not parse_node({"metadata": {"name": "metal-1"}}).ready


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (["etcd/member/wal"], "etcd"),
        (["state.db"], "sqlite"),
        ([], "none"),
        (["etcd/name"], "none"),  # a server whose first join failed
        (["etcd/name", "state.db"], "sqlite"),
        (["etcd/member/wal", "state.db"], "etcd"),  # it was turned to etcd
    ],
)
def test_the_datastore_is_told_by_its_files(tmp_path: Path, made: list[str], expected: str) -> None:
    for name in made:
        (tmp_path / "server" / "db" / name).mkdir(parents=True)
    assert read_datastore(tmp_path) == expected


def test_a_configuration_without_data_is_no_membership(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(module, "runner", lambda _: Machine({}))
    (tmp_path / "config.yaml").write_text('server: "https://a:6443"\n')
    places = {"binary": str(tmp_path / "k3s"), "config": str(tmp_path / "config.yaml"), "data": str(tmp_path)}
    assert run_module("k3s_cluster_info", places, capsys)["membership"] == {}
    (tmp_path / "server" / "db" / "etcd" / "member" / "wal").mkdir(parents=True)
    assert run_module("k3s_cluster_info", places, capsys)["membership"] == {"server": "https://a:6443"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('server: "https://a:6443"\n', {"server": "https://a:6443"}),
        ("cluster-init: true\n", {"cluster-init": True}),
        ("cluster-init: false\ndebug: true\n", {}),
        (None, {}),
    ],
)
def test_the_membership_is_read_from_the_configuration(
    tmp_path: Path, text: str | None, expected: dict[str, Any]
) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    assert read_membership(tmp_path / "config.yaml") == expected


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("Node password rejected, duplicate hostname or contents of", "another machine joined under this"),
        ("critical configuration value mismatch between servers: ServiceIPRanges", "must be equal on all"),
        ("token CA hash does not match the Cluster CA certificate hash", "the token is not"),
        ("listen tcp 0.0.0.0:6443: bind: address already in use", "another program holds a port"),
        ("x509: certificate has expired or is not yet valid: current time 2020", "clocks"),
        ("dial tcp 192.168.7.11:6443: connect: connection refused", "cannot be reached"),
        ("write /var/lib/rancher: no space left on device", "disk is full"),
        ("all is well", None),
    ],
)
def test_the_likely_cause(line: str, meaning: str | None) -> None:
    cause = likely_cause(["I1121 started", line, "level=info msg=retrying"])
    assert cause is None if meaning is None else meaning in str(cause)


def test_errors_are_told_once_each() -> None:
    journal = ["level=error a", "fine", "level=error a", "level=fatal b"]
    assert telling_lines(journal) == ["level=error a", "level=fatal b"]


def test_without_errors_the_last_lines_are_told() -> None:
    assert telling_lines(["one", "two", "three"], count=2) == ["two", "three"]
