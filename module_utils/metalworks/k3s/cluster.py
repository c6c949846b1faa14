"""Read on a node the state of its k3s (systemd, files) and of the cluster (`k3s kubectl ... -o json`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.common.nodes import Node, parse_node
from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.common.systemd import Unit, read_unit
from ansible.module_utils.metalworks.k3s.config import installed_version, read_scalar, read_settings
from ansible.module_utils.metalworks.k3s.keys import KEYS, MEMBERSHIP
from ansible.module_utils.metalworks.k3s.unit import BINARY, UNITS

ROLES = {unit: role for role, unit in UNITS.items()}


@dataclass(frozen=True)
class Paths:
    """The paths of k3s's program, configuration and data."""

    binary: Path = Path(BINARY)
    config: Path = Path("/etc/rancher/k3s/config.yaml")
    data: Path = Path(str(KEYS["data-dir"].default))


def read_datastore(data: Path) -> str:
    """Return `etcd`, `sqlite`, or `none` if this node has never been a server with data of its own.

    etcd's log is what k3s itself looks for (pkg/etcd, IsInitialized). Its folder alone says nothing: k3s
    writes db/etcd/name at every start of a server, with sqlite too, and before a join succeeds.
    """
    database = data / "server" / "db"
    if (database / "etcd" / "member" / "wal").is_dir():
        return "etcd"
    return "sqlite" if (database / "state.db").exists() else "none"


def read_membership(config: Path) -> dict[str, Any]:
    """Return how this server came to its cluster.

    `cluster-init`, `server`, or neither (a server on its own).
    """
    text = read_settings(config) or ""
    found = {name: read_scalar(text, name) for name in MEMBERSHIP}
    return {name: value for name, value in found.items() if value not in (None, False, "false")}


def read_service(run: Run) -> Unit:
    """Return the unit that runs here, or the server's if neither runs."""
    units = [read_unit(run, name) for name in UNITS.values()]
    present = [unit for unit in units if unit.load == "loaded"]
    return max(present or units[:1], key=lambda unit: unit.running)


def kubectl(run: Run, paths: Paths, *arguments: str) -> tuple[int, str, str]:
    """Run kubectl with the admin's rights. A time-out keeps an API that hangs from blocking the wait."""
    answer: tuple[int, str, str] = run([str(paths.binary), "kubectl", "--request-timeout=5s", *arguments])
    return answer


def read_ready(run: Run, paths: Paths) -> bool:
    """Tell whether this server's API says that it is ready."""
    code, out, _ = kubectl(run, paths, "get", "--raw", "/readyz")
    return code == 0 and out.strip() == "ok"


def read_nodes(run: Run, paths: Paths) -> list[Node]:
    """Return the cluster's nodes; none while the API does not answer."""
    code, out, _ = kubectl(run, paths, "get", "nodes", "--output=json")
    return [parse_node(item) for item in json.loads(out)["items"]] if code == 0 else []


def read_cluster(run: Run, paths: Paths, nodes: Sequence[Node] = ()) -> dict[str, Any]:
    """Return the result of `k3s_cluster_info`. `nodes` are passed if they have just been read."""
    installed = paths.binary.exists()
    service = read_service(run)
    role = ROLES[service.name] if service.load == "loaded" else None
    asks = installed and role == "server" and service.running
    ready = bool(nodes) or (asks and read_ready(run, paths))
    nodes = nodes or (read_nodes(run, paths) if ready else [])
    datastore = read_datastore(paths.data)
    return {
        "installed": installed,
        "version": installed_version(paths.binary),
        "role": role,
        "running": service.running,
        "instance": service.invocation,
        "datastore": datastore,
        # Without data the configuration shows an attempt to join, not a membership.
        "membership": read_membership(paths.config) if datastore != "none" else {},
        "ready": ready,
        "nodes": [asdict(node) for node in nodes],
        "etcd_members": [node.name for node in nodes if "etcd" in node.roles],
    }


def missing(wanted: Sequence[str], nodes: Sequence[Node], heard_after: float) -> list[str]:
    """Return the wanted nodes that are not Ready, or that reported Ready only before a restart."""
    # The API's times are whole seconds.
    ready = {node.name for node in nodes if node.ready and node.heard >= int(heard_after)}
    return [name for name in wanted if name not in ready]
