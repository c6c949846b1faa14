"""What the parts hold in memory when nobody asks them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import testinfra
from tests.support.pods import run_in_pod

from kubernetes import client

PROGRAMS = ("object-store", "mlflow", "door")
MOST_MIB = 450
# The command lines of all that watches, whose images have no shell.
WATCHERS = {
    "Prometheus": r"/bin/prometheus ",
    "its operator": r"/bin/operator ",
    "Alertmanager": r"/bin/alertmanager ",
    "reloaders": r"/bin/prometheus-config-reloader ",
    "node exporters": r"/bin/node_exporter ",
    "kube-state-metrics": r"kube.state.metrics",
    "store of logs": r"victoria-logs",
    "collectors": r"vlagent",
    "login": r"vmauth",
    "journals": r"systemd-journal-upload",
}
MOST_MIB_OF_WATCHERS = 600
# The image of the store's gateway has a shell, and neither cat nor grep.
RESIDENT = (
    "for file in /proc/[0-9]*/status; do"
    '  while read -r name number unit; do [ "$name" != VmRSS: ] || echo "$number"; done <"$file";'
    " done"
)


@pytest.mark.parts("object_store", "mlflow", "door")
def test_the_home_of_data_and_models_is_small(api: client.ApiClient) -> None:
    """The sum of what all their processes have resident; pages that two of them share count twice."""
    core = client.CoreV1Api(api)
    found: dict[str, int] = {}
    for program in PROGRAMS:
        pods = core.list_pod_for_all_namespaces(
            label_selector=f"app.kubernetes.io/name={program}", field_selector="status.phase=Running"
        ).items
        for pod in pods:
            for container in pod.spec.containers:
                said = run_in_pod(
                    core,
                    pod.metadata.namespace,
                    pod.metadata.name,
                    "sh",
                    "-c",
                    RESIDENT,
                    container=container.name,
                )
                # The shell that asks is among them.
                found[f"{program}/{container.name}"] = sum(map(int, said.split())) // 1024
    print(f"MiB resident: {found}, together {sum(found.values())}")
    assert len(found) >= len(PROGRAMS)
    assert sum(found.values()) <= MOST_MIB, found


@pytest.mark.parts("monitoring", "logging")
def test_what_watches_is_small(request: pytest.FixtureRequest) -> None:
    """The sum of what all its processes on all machines have resident; shared pages count several times."""
    inventory = request.config.getoption("--ansible-inventory")
    hosts = testinfra.get_hosts(["ansible://k3s_cluster"], ansible_inventory=inventory)
    if not hosts:
        pytest.skip("the inventory lists no machine, and the processes of pods are seen there")
    kib: Counter[str] = Counter()
    for host in hosts:
        for line in host.check_output("ps -eo rss=,args=").splitlines():
            size, _, command = line.strip().partition(" ")
            for name, pattern in WATCHERS.items():
                if re.search(pattern, command):
                    kib[name] += int(size)
                    break
    found = {name: kib[name] // 1024 for name in WATCHERS}
    print(f"MiB resident: {found}, together {sum(found.values())}")
    assert all(found.values()), found
    assert sum(found.values()) <= MOST_MIB_OF_WATCHERS, found
