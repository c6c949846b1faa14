"""A server is there: its node is Ready, its secrets are for root, and it restarts only when it must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.scenario import converge_again, invocation, kubectl
from tests.support.waiting import wait_for

SCENARIO = Path(__file__).parents[1]
TOKEN = "correct-horse-battery-staple"


def test_the_node_is_ready_and_labelled(host: Any) -> None:
    (node,) = kubectl(host, "get nodes")["items"]
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["metadata"]["name"] == "server-1"
    assert node["metadata"]["labels"]["disk"] == "ssd"


def test_a_pod_of_the_cluster_runs(host: Any) -> None:
    def pods() -> list[Any]:
        found = kubectl(host, "get pods --namespace kube-system --selector k8s-app=kube-dns")
        return [each["status"] for each in found["items"]]

    wait_for(
        lambda: (found := pods()) and all(status["phase"] == "Running" for status in found),
        lambda: f"CoreDNS does not run: {pods()}",
    )


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


def test_the_same_again_restarts_nothing(host: Any) -> None:
    before = invocation(host)
    assert converge_again(SCENARIO, "one_machine.yml").changed_nothing
    assert invocation(host) == before
    assert host.check_output("systemctl show --property NRestarts --value k3s") == "0"


def test_a_pod_outlives_a_restart_of_k3s(host: Any) -> None:
    before = {pod["metadata"]["uid"]: pod for pod in kubectl(host, "get pods --all-namespaces")["items"]}
    first = invocation(host)
    host.check_output("sudo systemctl restart k3s")
    wait_for(
        lambda: host.run("sudo k3s kubectl get --raw /readyz").rc == 0,
        "the API does not answer after a restart of k3s",
    )
    after = {pod["metadata"]["uid"]: pod for pod in kubectl(host, "get pods --all-namespaces")["items"]}
    assert invocation(host) != first
    assert set(before) <= set(after)
    restarts = {
        uid: [c["restartCount"] for c in pod["status"]["containerStatuses"]] for uid, pod in before.items()
    }
    for uid, counts in restarts.items():
        assert [c["restartCount"] for c in after[uid]["status"]["containerStatuses"]] == counts
