"""What would be installed for several gateways, which the lab's storage cannot hold: rendered, not run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.artifacts import built_path

CHART = Path(__file__).resolve().parents[3] / "files" / "object_store" / "chart"


def rendered(*values: str) -> subprocess.CompletedProcess[str]:
    given = [word for value in values for word in ("--set", value)]
    command = [built_path("helm"), "template", "object-store", CHART, *given]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def by_kind(*values: str) -> dict[str, Any]:
    done = rendered(*values)
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}


def gateway(found: dict[str, Any]) -> dict[str, str | None]:
    """The variables of the gateway that have their value in the chart."""
    env = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]
    return {each["name"]: each.get("value") for each in env}


def test_several_gateways_share_a_volume_and_stand_on_several_nodes() -> None:
    found = by_kind("replicas=3", "volume.accessMode=ReadWriteMany", "volume.storageClass=nfs")
    assert found["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert found["PersistentVolumeClaim"]["spec"]["storageClassName"] == "nfs"
    spec = found["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (3, "RollingUpdate")
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    environment = gateway(found)
    assert environment["ALONE"] == "false", "a start would move away what another gateway is working in"
    assert "VGW_DISABLE_OBJECT_LOCK_FILE" not in environment, "gateways could overwrite each other's objects"


def test_one_gateway_gives_its_volume_free_before_the_next_takes_it() -> None:
    found = by_kind()
    assert found["Deployment"]["spec"]["strategy"]["type"] == "Recreate"
    assert gateway(found)["ALONE"] == "true"
    assert found["PersistentVolumeClaim"]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_several_gateways_on_a_volume_of_one_node_are_refused() -> None:
    done = rendered("replicas=2")
    assert done.returncode != 0 and "replicas needs volume.accessMode ReadWriteMany" in done.stderr


@pytest.mark.parametrize(
    ("size", "budget"), [("512Mi", 512 * 2**20), ("20Gi", 20 * 2**30), ("3Ti", 3 * 2**40)]
)
def test_the_budget_is_counted_in_bytes(size: str, budget: int) -> None:
    containers = by_kind(f"volume.budget={size}")["Deployment"]["spec"]["template"]["spec"]["containers"]
    found = {each["name"]: each["value"] for each in containers[2]["env"]}
    assert int(found["BUDGET"]) == budget


def test_a_tenth_of_the_gateways_memory_is_left_beside_gos_heap() -> None:
    found = gateway(by_kind("resources.gateway.limits.memory=1Gi"))
    assert found["GOMEMLIMIT"] == str(2**30 * 9 // 10)


def test_nobody_may_connect_who_is_not_named() -> None:
    policy = by_kind("clients[0].namespace=people", "clients[0].pods.app=x", "metrics[0]=monitoring")[
        "NetworkPolicy"
    ]
    assert policy["spec"]["egress"] == [] and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    ports = [[each["port"] for each in rule["ports"]] for rule in policy["spec"]["ingress"]]
    assert ports == [[7070], [9101]]
    assert not by_kind()["NetworkPolicy"]["spec"]["ingress"]
