"""What is told of any cluster, and how long is waited for its nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.cluster_api import answers, node, serving
from tests.support.modules import run_module

NODES = [
    node("two", InternalIP="192.0.2.2"),
    node("one", ready=False, InternalIP="192.0.2.1"),
    node("three", InternalIP="192.0.2.3", ExternalIP="198.51.100.3"),
]
SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
)
KNOWN = answers(
    **{
        "/api/v1/nodes": {"items": NODES},
        SLICES: {"items": [{"ports": [{"name": "https", "port": 7443}]}, {"ports": None}]},
    }
)


def ask(path: Path, capsys: Any, **more: Any) -> dict[str, Any]:
    return run_module("k8s_cluster_info", {"kubeconfig": str(path), **more}, capsys)


def test_nodes_are_told_by_name_and_the_first_ready_one_s_address(tmp_path: Path, capsys: Any) -> None:
    with serving(KNOWN, tmp_path) as path:
        told = ask(path, capsys)
        assert [each["name"] for each in told["nodes"]] == ["one", "three", "two"]
        assert (told["version"], told["address"]) == ("v1.34.4+k3s1", "198.51.100.3")
        assert ask(path, capsys, wait_for={"nodes": ["two"], "seconds": 0})["changed"] is False


def test_the_ports_of_the_api_servers_are_told_where_they_may_be_seen(tmp_path: Path, capsys: Any) -> None:
    with serving(KNOWN, tmp_path) as path:
        assert ask(path, capsys)["api_ports"] == [7443]
    with serving({**KNOWN, SLICES: 403}, tmp_path) as path:
        assert ask(path, capsys)["api_ports"] == []


def test_a_node_that_does_not_come_is_named(tmp_path: Path, capsys: Any) -> None:
    with serving(KNOWN, tmp_path) as path:
        assert "Not Ready after 0 s: one." in ask(path, capsys, wait_for={"seconds": 0})["msg"]
        late = ask(path, capsys, wait_for={"nodes": ["four"], "seconds": 0})["msg"]
        assert "Not Ready after 0 s: four." in late


def test_a_login_may_come_from_a_program_or_a_file(tmp_path: Path, capsys: Any) -> None:
    program = tmp_path / "login"
    told = '{"kind": "ExecCredential", "status": {"token": "\'$TOKEN\'"}}'
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o755)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "env": [{"name": "TOKEN", "value": "t0ken"}],
    }
    known = {**KNOWN, "token": "t0ken"}
    with serving(known, tmp_path, exec=plugin) as path:
        assert ask(path, capsys)["address"] == "198.51.100.3"
    (tmp_path / "token").write_text("t0ken\n")
    with serving(known, tmp_path, tokenFile="token") as path:  # beside the kubeconfig
        assert ask(path, capsys)["address"] == "198.51.100.3"
    program.write_text("#!/bin/sh\necho 'You must log in' >&2; exit 1\n")
    with serving(known, tmp_path, exec=plugin) as path:
        answer = ask(path, capsys)
        assert f"{program}, which it asks for a login, gives none: You must log in" in answer["msg"]


def test_a_context_that_is_missing_is_told_with_what_to_do(tmp_path: Path, capsys: Any) -> None:
    with serving(KNOWN, tmp_path) as path:
        told = ask(path, capsys, context="metalworks-lab")
    assert told["failed"]
    assert "has no context 'metalworks-lab'. It has: test. Make the cluster first" in told["msg"]
    assert "No such file or directory. Make the cluster first" in ask(tmp_path / "none", capsys)["msg"]


def test_in_a_check_there_may_be_no_cluster_yet(tmp_path: Path, capsys: Any) -> None:
    with serving(KNOWN, tmp_path) as path:
        for where, context in ((path, "metalworks-lab"), (tmp_path / "none", "test")):
            params = {"kubeconfig": str(where), "context": context}
            told = run_module("k8s_cluster_info", params, capsys, check=True)
            assert (told["failed"], told["exists"]) == (False, False)
    gone = run_module("k8s_cluster_info", {"kubeconfig": str(path), "context": "test"}, capsys, check=True)
    assert gone["failed"], "a cluster that is known and does not answer is a fault in a check, too"
