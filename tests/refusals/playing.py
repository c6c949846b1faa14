"""Running a playbook that must refuse, and machines that are brought into the state that is refused."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "molecule" / "shared"
# Machines of their own, so that no scenario and no lab is in the way; by another name, no second run.
NAME = os.environ.get("METALWORKS_NEGATIVE", "negative")
ENVIRONMENT = {
    **os.environ,
    "METALWORKS_MOLECULE": NAME,
    "METALWORKS_MOLECULE_NETWORK": os.environ.get("METALWORKS_NEGATIVE_NETWORK", "172.30.10"),
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_FORCE_COLOR": "0",
}


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended, and what it said, with its line breaks taken out."""

    code: int
    said: str

    @property
    def changed_nothing(self) -> bool:
        return "changed=0" in self.said and not any(f"changed={n}" in self.said for n in range(1, 10))


def play(playbook: Path, inventory: Path, **variables: Any) -> Outcome:
    extra = (
        ["--extra-vars", yaml.safe_dump(variables, default_flow_style=True, width=10**6)] if variables else []
    )
    done = subprocess.run(
        ["ansible-playbook", "--inventory", inventory, playbook, *extra],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, " ".join((done.stdout + done.stderr).split()))


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
