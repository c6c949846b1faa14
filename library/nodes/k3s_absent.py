#!/usr/bin/python
"""Remove k3s from a machine, with everything that it leaves running."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_absent
short_description: Remove k3s from a machine
description:
  - Stops and disables the unit, ends the processes of pods, unmounts what they had, removes their network
    interfaces, namespaces and firewall rules, and then the files of k3s and of its role.
  - Keeps the volumes of users (C(storage) below O(data)), settings in C(config.yaml.d), and the binary.
  - The node stays in the cluster's list until it is deleted there (C(kubectl drain), C(kubectl delete node)).
    For a server this comes first, because k3s removes it from etcd only then (k3s#4865). The module refuses
    a server that is still a member of etcd beside others, as far as its own API answers.
author: Metalworks
options:
  role:
    description: Whether the machine is a server or an agent.
    type: str
    required: true
    choices: [server, agent]
  data:
    description: The folder that holds k3s's data.
    type: path
    required: true
  node:
    description: The name of its node. Required if O(role=server).
    type: str
  whole_cluster:
    description: Whether all servers go, so that it does not matter who is still a member of etcd.
    type: bool
    default: false
  path:
    description: The configuration file.
    type: path
    default: /etc/rancher/k3s/config.yaml
attributes:
  check_mode:
    description: Lists what would be removed.
    support: full
  diff_mode:
    description: Lists what is removed.
    support: full
  idempotent:
    description: Changes nothing if nothing of k3s is left.
    support: full
"""

EXAMPLES = r"""
- name: Remove the agent
  k3s_absent:
    role: agent
    data: /var/lib/rancher/k3s
"""

RETURN = r"""
removed:
  description: What was removed.
  type: list
  elements: str
  returned: always
  sample: [12 processes of pods and containerd, network interface cni0]
"""

import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.files import one_slash, read_others_text
from ansible.module_utils.metalworks.common.nodes import Node
from ansible.module_utils.metalworks.common.run import runner
from ansible.module_utils.metalworks.common.systemd import read_unit
from ansible.module_utils.metalworks.k3s import unit as k3s_unit
from ansible.module_utils.metalworks.k3s.cluster import Paths, read_datastore, read_nodes
from ansible.module_utils.metalworks.k3s.config import read_scalar, read_settings
from ansible.module_utils.metalworks.k3s.keys import TOKEN_FILE
from ansible.module_utils.metalworks.k3s.remains import (
    Remains,
    files_of_k3s,
    mounts_of_k3s,
    processes_of_k3s,
    read_processes,
    read_remains,
)

ARGUMENTS: dict[str, Any] = {
    "role": {"type": "str", "required": True, "choices": ["server", "agent"]},
    "data": {"type": "path", "required": True},
    "node": {"type": "str"},
    "whole_cluster": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/etc/rancher/k3s/config.yaml"},
}
END_SECONDS = 30


def still_a_member(node: str, nodes: Sequence[Node]) -> str | None:
    """Return why this server may not go yet: it would be missing from the majority that etcd needs."""
    members = [each.name for each in nodes if "etcd" in each.roles]
    others = [name for name in members if name != node]
    if node not in members or not others:
        return None
    return (
        f"The server {node} is still a member of etcd, together with {', '.join(others)}, which would go on "
        f"counting with its vote. Delete its node on one of them first, which also removes it from etcd: "
        f"kubectl delete node {node}. If all servers are to go, say so with whole_cluster "
        "(k3s_server_absent_whole_cluster of the role)."
    )


def must(module: AnsibleModule, command: list[str], data: str | None = None) -> None:
    """Run a command that must succeed; an error shows its output."""
    code, _, error = module.run_command(command, data=data)
    if code:
        module.fail_json(msg=f"{' '.join(command)} failed: {error.strip()}")


def end_processes(module: AnsibleModule, data: str) -> None:
    """Kill k3s's processes until none is left, because a shim may start another one before it ends."""
    until = time.monotonic() + END_SECONDS
    while left := processes_of_k3s(read_processes(), data):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > until:
            module.fail_json(msg=f"The processes {', '.join(map(str, left))} of k3s do not end.")
        time.sleep(0.2)


def remove_files(files: Sequence[str]) -> None:
    """Remove files and whole folders."""
    for name in files:
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def apply(module: AnsibleModule, unit: str, loaded: bool, remains: Remains, data: str) -> None:
    """Remove everything, in an order in which nothing is started again."""
    if loaded:
        must(module, ["systemctl", "disable", "--now", unit])
    end_processes(module, data)
    for place in mounts_of_k3s((read_others_text(Path("/proc/mounts")) or ""), data):
        must(module, ["umount", "--lazy", place])
    # Files are removed only if nothing is mounted over them: files below a mount belong to somebody else.
    left = mounts_of_k3s((read_others_text(Path("/proc/mounts")) or ""), data)
    if left:
        module.fail_json(
            msg=f"Still mounted: {', '.join(left)}. No file was removed; unmount them and try again."
        )
    for name in remains.namespaces:
        must(module, ["ip", "netns", "delete", name])
    for name in remains.links:
        # Not must(): the other end of a veth pair is removed with the first.
        module.run_command(["ip", "link", "delete", name])
    for program, rules in remains.rules.items():
        must(module, [program], rules)
    remove_files(remains.files)
    if loaded:
        must(module, ["systemctl", "daemon-reload"])


def main() -> None:
    """Remove what is left of k3s, and return what it was."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("role", "server", ["node"])]
    )
    params = {**module.params, "data": one_slash(module.params["data"])}
    unit, path = k3s_unit.UNITS[params["role"]], Path(params["path"])
    token = str(read_scalar(read_settings(path) or "", "token-file") or TOKEN_FILE)
    files = files_of_k3s(unit, k3s_unit.FOLDER, path, token, params["data"])
    loaded = read_unit(runner(module), unit).load == "loaded"
    paths = Paths(config=path, data=Path(params["data"]))
    if params["role"] == "server" and not params["whole_cluster"] and read_datastore(paths.data) == "etcd":
        problem = still_a_member(params["node"], read_nodes(runner(module), paths))
        if problem:
            module.fail_json(msg=problem)
    remains = read_remains(runner(module), params["data"], files)
    removed = [*([f"unit {unit}"] if loaded else []), *remains.sentences()]
    if removed and not module.check_mode:
        apply(module, unit, loaded, remains, params["data"])
    module.exit_json(
        changed=bool(removed),
        removed=removed,
        diff={"before": "".join(f"{line}\n" for line in removed), "after": ""},
    )


if __name__ == "__main__":
    main()
