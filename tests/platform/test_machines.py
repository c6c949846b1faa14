"""On each machine the service runs, and secrets are readable by root only."""

from __future__ import annotations

import json
from typing import Any

import pytest

testinfra_hosts = ["ansible://k3s_cluster"]


@pytest.fixture
def unit(host: Any) -> str:
    return "k3s" if host.file("/etc/systemd/system/k3s.service").exists else "k3s-agent"


def test_k3s_runs_and_starts_at_boot(host: Any, unit: str) -> None:
    service = host.service(unit)
    assert service.is_running, host.check_output("journalctl --no-pager -n 50 -u %s", unit)
    assert service.is_enabled


@pytest.mark.parametrize("path", ["/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/token"])
def test_configuration_is_readable_by_root_only(host: Any, path: str) -> None:
    file = host.file(path)
    assert (file.user, file.mode) == ("root", 0o600)


def test_token_is_in_no_command_line_and_no_log(host: Any, unit: str) -> None:
    token = host.file("/etc/rancher/k3s/token").content_string.strip()
    secret = token.rpartition(":")[2]
    assert len(secret) >= 16
    assert secret not in host.check_output("ps -eo args")
    assert secret not in host.check_output("journalctl --no-pager -u %s", unit)


def test_all_machines_run_one_version(host: Any, platform: dict[str, Any]) -> None:
    assert platform["k3s_version"] in host.check_output("/usr/local/bin/k3s --version")


def test_delivered_images_are_pinned_against_garbage_collection(host: Any, platform: dict[str, Any]) -> None:
    listing = host.check_output("/usr/local/bin/k3s ctr --namespace k8s.io images ls")
    for reference in platform["images"]:
        lines = [line for line in listing.splitlines() if line.startswith(f"{reference} ")]
        assert lines, f"{reference} is not on the node"
        assert "io.cri-containerd.pinned=pinned" in lines[0]


def test_machine_has_no_failed_unit(host: Any) -> None:
    failed = json.loads(host.check_output("systemctl --failed --output json"))
    assert failed == []
