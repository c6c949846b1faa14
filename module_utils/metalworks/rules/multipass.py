"""Rules for machines that multipass runs: the names and sizes of their instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..multipass.plan import Refused, Wanted, check
from .platform import Platform


def instances(platform: Platform) -> Iterator[str]:
    """Refuse an instance that multipass would not make."""
    for node in platform.nodes if platform.kind == "multipass" else ():

        def read(name: str, host: str = node.host) -> Any:
            name = f"multipass_machines_{name}"
            return platform.hosts[host].get(name, platform.values[name])

        # The inventory plugin is read before group_vars and host_vars are.
        known = platform.hosts[node.host].get("multipass_instance")
        name = str(read("instance") or known or node.host)
        if known and name != known:
            yield (
                f"host {node.host}: multipass_machines_instance is {name}, and the addresses are those of "
                f"the instance {known}: write multipass_machines_instance beside the host, in the file that "
                "lists it, or a prefix into multipass.yml"
            )
        wanted = Wanted(
            name=name,
            cpus=read("cpus"),
            memory=read("memory"),
            disk=read("disk"),
        )
        try:
            check(wanted)
        except Refused as error:
            yield f"host {node.host}: {error}"
