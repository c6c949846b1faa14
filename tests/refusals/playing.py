"""Running a playbook that must refuse, and machines that are brought into the state that is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support import playbooks
from tests.support.playbooks import Outcome

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "molecule" / "shared"
# Machines of their own, so that no scenario and no lab is in the way; by another name, no second run.
# Each process of a run has machines of its own, too.
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
NAME = os.environ.get("METALWORKS_REFUSALS", "refusals") + (f"-{PROCESS}" if PROCESS else "")
NETWORKS = os.environ.get("METALWORKS_REFUSALS_NETWORK", "172.30.10 172.30.20").split()
ENVIRONMENT = {
    **os.environ,
    "METALWORKS_MOLECULE": NAME,
    "METALWORKS_MOLECULE_NETWORK": NETWORKS[PROCESS],
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
}


def play(playbook: Path, inventory: Path, **variables: Any) -> Outcome:
    """Run a playbook with the environment of these tests, which a test may change."""
    return playbooks.play(playbook, inventory, environment=ENVIRONMENT, **variables)


class Machine:
    """A lab machine, brought into a state through Docker: also when ssh is what is broken."""

    def __init__(self, name: str) -> None:
        self.container = f"{NAME}-{name}"

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["docker", "exec", self.container, "bash", "-ec", command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def files_changed_since(self, marker: str) -> list[str]:
        """What a refused run must leave alone. Logs, caches and Ansible's own folder do not count."""
        kept = "/etc /usr/local /opt /root /var/lib/rancher /var/spool/cron"
        found = self.run(
            f"find {kept} -xdev -type f -newer {marker} -not -path '*/.ansible/*' 2>/dev/null || true"
        )
        return found.split()

    def install(self, program: Path) -> None:
        subprocess.run(
            ["docker", "cp", program, f"{self.container}:/usr/local/bin/k3s"], check=True, capture_output=True
        )
