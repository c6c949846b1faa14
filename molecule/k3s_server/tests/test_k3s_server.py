"""A server is there: its node is Ready, its secrets are for root, and it restarts only when it must."""

from __future__ import annotations

import json
import time
from typing import Any

TOKEN = "correct-horse-battery-staple"


def kubectl(host: Any, arguments: str) -> Any:
    return json.loads(host.check_output(f"sudo k3s kubectl {arguments} --output json"))


def invocation(host: Any) -> str:
    return str(host.check_output("systemctl show --property InvocationID --value k3s"))


def test_the_node_is_ready_and_labelled(host: Any) -> None:
    (node,) = kubectl(host, "get nodes")["items"]
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["metadata"]["name"] == "server-1"
    assert node["metadata"]["labels"]["disk"] == "ssd"


def test_a_pod_of_the_cluster_runs(host: Any) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pods = kubectl(host, "get pods --namespace kube-system --selector k8s-app=kube-dns")["items"]
        if pods and all(each["status"]["phase"] == "Running" for each in pods):
            return
        time.sleep(1)
    raise AssertionError(f"CoreDNS does not run: {[pod['status'] for pod in pods]}")


def test_the_service_starts_at_boot(host: Any) -> None:
    service = host.service("k3s")
    assert service.is_running
    assert service.is_enabled


def test_secrets_are_for_root_only(host: Any) -> None:
    with host.sudo():
        for path in ("/etc/rancher/k3s/token", "/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/k3s.yaml"):
            file = host.file(path)
            assert (file.user, file.mode) == ("root", 0o600), path


def test_the_token_is_in_no_command_line(host: Any) -> None:
    with host.sudo():
        shown = host.check_output(
            "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '; true"
        )
        assert "k3s" in shown
        assert TOKEN not in shown


def test_the_token_is_in_no_log(host: Any) -> None:
    with host.sudo():
        assert TOKEN not in host.check_output("journalctl --no-pager --output cat")


def test_the_record_of_the_start_matches_the_files(host: Any) -> None:
    with host.sudo():
        record = host.file("/run/metalworks/k3s.service.started")
        assert record.mode == 0o600
        lines = record.content_string.splitlines()
        assert lines[0].startswith(f"binary {host.file('/usr/local/bin/k3s').linked_to} ")
        sums = "\n".join(lines[1:])
        assert "/etc/rancher/k3s/config.yaml" in sums
        assert host.run(f"echo '{sums}' | sha256sum --check --quiet").rc == 0


def test_a_second_converge_left_the_process_alone(host: Any) -> None:
    """Idempotence has run before: besides the restarts of the test below k3s was started once."""
    with host.sudo():
        restarts = host.run(
            "journalctl --no-pager --output cat | grep -c 'COMMAND=[^ ]*systemctl restart k3s$'"
        ).stdout
        starts = host.check_output(
            "journalctl --no-pager --output cat --unit k3s | grep -c '^Started k3s.service'"
        )
    assert int(starts) == 1 + int(restarts)
    assert host.check_output("systemctl show --property NRestarts --value k3s") == "0"


def test_a_pod_outlives_a_restart_of_k3s(host: Any) -> None:
    before = {pod["metadata"]["uid"]: pod for pod in kubectl(host, "get pods --all-namespaces")["items"]}
    first = invocation(host)
    host.check_output("sudo systemctl restart k3s")
    until = time.monotonic() + 90
    while host.run("sudo k3s kubectl get --raw /readyz").rc and time.monotonic() < until:
        time.sleep(1)
    after = {pod["metadata"]["uid"]: pod for pod in kubectl(host, "get pods --all-namespaces")["items"]}
    assert invocation(host) != first
    assert set(before) <= set(after)
    restarts = {
        uid: [c["restartCount"] for c in pod["status"]["containerStatuses"]] for uid, pod in before.items()
    }
    for uid, counts in restarts.items():
        assert [c["restartCount"] for c in after[uid]["status"]["containerStatuses"]] == counts
