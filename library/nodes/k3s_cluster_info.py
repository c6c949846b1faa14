#!/usr/bin/python
"""Read the state of k3s on a node and of its cluster, or wait for it and explain a failure."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_cluster_info
short_description: Read the state of k3s on a node, or wait for it
description:
  - Reads whether k3s is installed and runs, whether this machine has a datastore, whether the API is ready,
    and which nodes there are.
  - With O(wait_for) it polls each second and, when it gives up, says the likely cause from the journal, the
    nodes' conditions and the events.
  - Never changes anything.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  wait_for:
    description: What to wait for. Without it the state is read once.
    type: dict
    suboptions:
      nodes:
        description: The nodes that must be Ready. Only a server can know that.
        type: list
        elements: str
        default: []
      unit:
        description: The unit that must run, like V(k3s-agent.service).
        type: str
      not_instance:
        description: The id of the process that was there before a restart; it does not count as running.
        type: str
        default: ""
      heard_after:
        description:
          - The nodes' kubelets must have been heard of after this time, in seconds by the nodes' own clock.
          - For some time after a restart a node shows as Ready because nobody has noticed that it was away.
        type: float
        default: 0
      seconds:
        description: How long to wait.
        type: int
        default: 180
  admin:
    description: Whether to return the admin's kubeconfig. It holds a key, so that the task needs C(no_log).
    type: bool
    default: false
  binary:
    description: The k3s binary.
    type: path
    default: /usr/local/bin/k3s
  config:
    description: The configuration file.
    type: path
    default: /etc/rancher/k3s/config.yaml
  data:
    description: The folder that holds k3s's data.
    type: path
    default: /var/lib/rancher/k3s
attributes:
  check_mode:
    description: Reads as always; waits for nothing, because nothing was started.
    support: full
"""

EXAMPLES = r"""
- name: Read the cluster
  k3s_cluster_info:
  register: cluster

- name: Wait for all nodes
  k3s_cluster_info:
    wait_for:
      nodes: [metal-1, metal-2]
      seconds: 120
"""

RETURN = r"""
installed:
  description: Whether the binary is there.
  type: bool
  returned: always
version:
  description: The version of the binary.
  type: str
  returned: always
  sample: v1.36.5+k3s1
role:
  description: V(server), V(agent), or nothing when no unit is installed.
  type: str
  returned: always
running:
  description: Whether the unit runs.
  type: bool
  returned: always
instance:
  description: systemd's id of the running process.
  type: str
  returned: always
datastore:
  description: V(etcd), V(sqlite) or V(none).
  type: str
  returned: always
membership:
  description: How this server came to its cluster, from its configuration (C(cluster-init) or C(server)).
  type: dict
  returned: always
kubeconfig:
  description: The admin's kubeconfig, which k3s writes for kubectl on this server.
  type: str
  returned: with O(admin) if the API is ready
ready:
  description: Whether the API on this server says that it is ready.
  type: bool
  returned: always
nodes:
  description: The nodes, on a server whose API is ready.
  type: list
  elements: dict
  returned: always
  sample: [{name: metal-1, ready: true, roles: [control-plane], internal_ip: 192.168.7.11}]
etcd_members:
  description: The nodes that hold the embedded etcd.
  type: list
  elements: str
  returned: always
waited_seconds:
  description: How long it took.
  type: float
  returned: with O(wait_for)
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.nodes import Node
from ansible.module_utils.metalworks.common.run import Run, runner
from ansible.module_utils.metalworks.common.systemd import Unit, read_journal, read_unit
from ansible.module_utils.metalworks.k3s.cause import explain, node_sentences, read_warnings
from ansible.module_utils.metalworks.k3s.cluster import Paths, missing, read_cluster, read_nodes, read_ready

ARGUMENTS: dict[str, Any] = {
    "wait_for": {
        "type": "dict",
        "options": {
            "nodes": {"type": "list", "elements": "str", "default": []},
            "unit": {"type": "str"},
            "not_instance": {"type": "str", "default": ""},
            "heard_after": {"type": "float", "default": 0},
            "seconds": {"type": "int", "default": 180},
        },
    },
    "admin": {"type": "bool", "default": False},
    "binary": {"type": "path", "default": "/usr/local/bin/k3s"},
    "config": {"type": "path", "default": "/etc/rancher/k3s/config.yaml"},
    "data": {"type": "path", "default": "/var/lib/rancher/k3s"},
}
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
POLL_SECONDS = 1.0
CRASHES = 3  # after so many restarts by systemd, waiting longer is useless


@dataclass(frozen=True)
class Look:
    """The result of one poll. `lack` says what is still missing; None means that the wait is over."""

    unit: Unit | None
    lack: str | None
    nodes: list[Node] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


class Patience:
    """Count the crashes of a service during a wait."""

    def __init__(self) -> None:
        """Begin without a crash."""
        self.restarts: int | None = None
        self.failed = 0

    def ended(self, unit: Unit | None) -> bool:
        """Return whether the service has crashed too often to wait longer."""
        if unit is None:
            return False
        # Only restarts during this wait count. systemd sets the counter back when a queued restart begins.
        self.restarts = unit.restarts if self.restarts is None else min(self.restarts, unit.restarts)
        self.failed = self.failed + 1 if unit.active == "failed" else 0
        return unit.restarts - self.restarts >= CRASHES or self.failed > CRASHES


def look(run: Run, paths: Paths, wanted: dict[str, Any]) -> Look:
    """Ask once for the unit, the API and the nodes."""
    unit = read_unit(run, wanted["unit"]) if wanted["unit"] else None
    settled = unit is None or (unit.running and unit.invocation != wanted["not_instance"])
    if not settled or not wanted["nodes"]:
        return Look(unit, f"{unit.name} does not run" if unit and not settled else None)
    if not read_ready(run, paths):
        return Look(unit, "the API is not ready")
    nodes = read_nodes(run, paths)
    absent = missing(wanted["nodes"], nodes, wanted["heard_after"])
    return Look(unit, f"{', '.join(absent)}: not Ready" if absent else None, nodes, absent)


def wait(module: AnsibleModule, run: Run, paths: Paths) -> tuple[float, list[Node]]:
    """Poll until nothing is missing. Return the seconds and the nodes, or fail with the likely cause."""
    wanted = module.params["wait_for"]
    begun = time.monotonic()
    patience = Patience()
    while True:
        found = look(run, paths, wanted)
        waited = time.monotonic() - begun
        if found.lack is None:
            return waited, found.nodes
        if waited > wanted["seconds"] or patience.ended(found.unit):
            sentence = f"{found.lack} after {waited:.0f} seconds."
            journal = read_journal(run, found.unit or read_unit(run, "k3s.service"))
            warnings = read_warnings(run, paths) if found.nodes else []
            module.fail_json(
                msg=explain(sentence, journal, node_sentences(found.absent, found.nodes), warnings)
            )
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Read the state of k3s and its cluster once, or wait for it."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    paths = Paths(*(Path(module.params[name]) for name in ("binary", "config", "data")))
    run = runner(module)
    if not module.params["wait_for"] or module.check_mode:
        found = read_cluster(run, paths)
        if module.params["admin"] and found["ready"]:
            found["kubeconfig"] = KUBECONFIG.read_text(encoding="utf-8")
        module.exit_json(changed=False, **found)
    waited, nodes = wait(module, run, paths)
    module.exit_json(changed=False, **read_cluster(run, paths, nodes), waited_seconds=round(waited, 1))


if __name__ == "__main__":
    main()
