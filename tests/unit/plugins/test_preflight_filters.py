"""What Ansible says of a machine that could not be asked becomes a sentence that helps."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.filter.preflight import (
    expected_machine,
    optional_rules,
    preflight_problems,
    skipped_machine_rules,
)

CLUSTER = {
    "servers": ["a"],
    "datastore": "sqlite",
    "flannel_backend": "vxlan",
    "pod_networks": ["10.42.0.0/16", "fd00::/56"],
    "api_port": 6443,
    "nodes": {
        "a": {
            "role": "server",
            "addresses": ["192.0.2.1"],
            "flannel_interface": "eth1",
            "data_dir": "/srv/k3s",
            "config": {
                "embedded-registry": True,
                "kubelet-arg": "fail-swap-on=true",
                "kube-proxy-arg": "proxy-mode=ipvs",
            },
        },
        "b": {
            "role": "agent",
            "addresses": [],
            "flannel_interface": "",
            "data_dir": "/var/lib/rancher/k3s",
            "config": {"resolv-conf": "/etc/resolv.conf"},
        },
    },
}
HOSTVARS = {"a": {"ansible_host": "192.0.2.1", "ansible_user": "operator"}, "b": {}}


def seen(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The variables of hosts, each with what the module or Ansible said of it."""
    return {host: {**HOSTVARS[host], "__preflight_look": result} for host, result in results.items()}


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (
            {"msg": "ssh: connect to host x port 22: No route to host", "unreachable": True},
            "it cannot be reached",
        ),
        (
            {"msg": "Host key verification failed.", "unreachable": True},
            "its ssh host key is not the known one",
        ),
        (
            {"msg": "operator@x: Permission denied (publickey).", "unreachable": True},
            "does not accept the key",
        ),
        ({"msg": "Connection refused", "unreachable": True}, "sshd does not run there"),
        ({"msg": "Task failed: Missing sudo password"}, "operator may not become root without a password"),
        ({"msg": "Task failed: Incorrect sudo password"}, "sudo does not take the password of operator"),
        ({"msg": "MODULE FAILURE", "module_stderr": "/usr/bin/python3: not found"}, "no usable Python 3"),
        ({"msg": "The module interpreter '/usr/bin/python3' was not found."}, "no usable Python 3"),
        (
            {"module_stderr": 'Traceback: File "/usr/lib/python3.11/ssl.py", line 1: OSError: No space left'},
            "Ansible could not ask it",
        ),
        (
            {"module_stderr": "/bin/sh: 1: cannot create /tmp/x: Permission denied"},
            "Ansible could not ask it",
        ),
        (
            {"msg": "operator@x: Permission denied (password,keyboard-interactive)."},
            "does not take the password",
        ),
        ({"msg": "Failed to create temporary directory. mkdir: Permission denied"}, "operator cannot write"),
        (
            {"msg": "Invalid/incorrect password: Permission denied, please try again."},
            "and ansible_password",
        ),
        (
            {"msg": "Task failed: Timed out waiting for become success or become password prompt."},
            "sudo there says nothing",
        ),
        ({"msg": "Timeout (12s) waiting for privilege escalation prompt: "}, "sudo there says nothing"),
        ({"msg": "ssh: connect to host x port 22: Connection timed out"}, "it does not answer"),
        ({"msg": "something new"}, "Ansible could not ask it"),
    ],
)
def test_machine_that_could_not_be_asked_is_explained(result: dict[str, Any], says: str) -> None:
    (sentence,) = preflight_problems(["a"], seen({"a": result}))
    assert sentence.startswith("host a (192.0.2.1): ")
    assert says in sentence


def test_sentences_of_the_module_are_kept_and_named_by_host() -> None:
    found = {"a": {"problems": ["it is too small"], "facts": {"hostname": "a", "machine_id": "1"}}}
    assert preflight_problems(found, seen(found)) == ["host a: it is too small"]


def test_copies_of_one_disk_are_found() -> None:
    found = {name: {"problems": [], "facts": {"hostname": "metal", "machine_id": "1"}} for name in ("a", "b")}
    names, identities = preflight_problems(found, seen(found))
    assert names.startswith("hosts a, b call themselves metal")
    assert identities.startswith("hosts a, b have the same /etc/machine-id")


def test_a_rule_about_all_machines_can_be_left_out() -> None:
    found = {name: {"problems": [], "facts": {"hostname": "metal", "machine_id": "1"}} for name in ("a", "b")}
    (names,) = preflight_problems(found, seen(found), ["different_machine_ids"])
    assert names.endswith(" [different_hostnames]")


def test_rules_for_machines_are_told_from_those_for_inventories() -> None:
    skip = ["different_machine_ids", "number_of_servers", "clock"]
    assert skipped_machine_rules(skip) == ["clock", "different_machine_ids"]


def test_a_machine_is_expected_to_be_what_the_roles_would_make_of_it() -> None:
    assert expected_machine(CLUSTER, "a", {"node_swap": "off"}) == {
        "role": "server",
        "architecture": "",
        "node_addresses": ["192.0.2.1"],
        "etcd": False,
        "flannel_interface": "eth1",
        "flannel_backend": "vxlan",
        "pod_network": "10.42.0.0/16",
        "api_port": 6443,
        "embedded_registry": True,
        "kubelet_args": ["fail-swap-on=true"],
        "kube_proxy_args": ["proxy-mode=ipvs"],
        "swap_off": True,
        "resolv_conf": "",
        "data_dir": "/srv/k3s",
    }


def test_what_the_nodes_share_is_taken_from_the_first_server() -> None:
    found = expected_machine(CLUSTER, "b", {"k3s_binary_arch": "arm64"})
    assert found["embedded_registry"] is True
    assert (found["role"], found["architecture"], found["kubelet_args"]) == ("agent", "arm64", [])
    assert (found["swap_off"], found["resolv_conf"]) == (False, "/etc/resolv.conf")


@pytest.mark.parametrize(("given", "off"), [("off", True), (False, True), ("keep", False), (None, False)])
def test_swap_is_turned_off_as_the_role_would(given: object, off: bool) -> None:
    assert expected_machine(CLUSTER, "a", {"node_swap": given})["swap_off"] is off


def test_the_end_of_a_refusal_names_only_rules_that_can_be_left_out() -> None:
    said = ["a [number_of_servers]", "b [k3s_configuration]", "c [swap]", "d [number_of_servers]", "e"]
    assert optional_rules(said) == ["number_of_servers", "swap"]
