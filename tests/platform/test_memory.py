"""What the store, MLflow and the door hold in memory when nobody asks them."""

from __future__ import annotations

import pytest
from tests.support.pods import run_in_pod

from kubernetes import client

PROGRAMS = ("object-store", "mlflow", "door")
MOST_MIB = 450
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
    assert sum(found.values()) < MOST_MIB, found
