"""What the tests of Molecule scenarios share: where their machines are, and how k3s on them is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.support.playbooks import Outcome, play
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
INVENTORIES = ROOT / "molecule" / "shared" / "inventory"

# The machines of a scenario that has its own, as group_vars/all of the inventories names them.
LAB = os.environ.get("METALWORKS_MOLECULE", "molecule")
NETWORK = os.environ.get("METALWORKS_MOLECULE_NETWORK", "172.30.8")
STATE = INVENTORIES / ".state" / LAB

# The cluster that scenarios of applications share, as group_vars/shared_cluster names it.
CLUSTER_STATE = INVENTORIES / ".state" / os.environ.get("METALWORKS_MOLECULE_CLUSTER", "molecule-cluster")
KUBECONFIG = CLUSTER_STATE / "kubeconfig"
CONTEXT = "shared"


def kubectl(host: Any, arguments: str) -> Any:
    """The answer of a server's kubectl, as plain data."""
    return json.loads(host.check_output(f"sudo k3s kubectl {arguments} --output json"))


def invocation(host: Any, unit: str = "k3s") -> str:
    """The mark that systemd gives to each start of a service: it changes with a restart, and only then."""
    return str(host.check_output(f"systemctl show --property InvocationID --value {unit}"))


def converge_again(scenario: Path, inventory: str, **variables: Any) -> Outcome:
    """Run a scenario's converge.yml once more, as a person would who changed the inventory."""
    return play(scenario / "converge.yml", INVENTORIES / inventory, **variables).check()


def run_pod(server: Any, pod: dict[str, Any], namespace: str = "default", seconds: float = 120) -> None:
    """Create a pod in place of an earlier one of that name, and wait until it runs."""
    name, of = pod["metadata"]["name"], f"--namespace {namespace}"
    server.run(f"sudo k3s kubectl delete pod {name} {of} --ignore-not-found --now")
    server.check_output("echo %s | sudo k3s kubectl create --filename - " + of, json.dumps(pod))
    wait_for(
        lambda: kubectl(server, f"get pod {name} {of}")["status"]["phase"] == "Running",
        lambda: (
            f"pod {name} does not run:\n" + server.run(f"sudo k3s kubectl describe pod {name} {of}").stdout
        ),
        seconds,
    )
