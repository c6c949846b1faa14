"""Rules for machines that multipass runs: the names and sizes of their instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..multipass.plan import Refused, Wanted, check
from .platform import Platform


def instances(platform: Platform) -> Iterator[str]:
    """Refuse an instance that multipass would not make."""
    for node in platform.nodes if platform.kind == "multipass" else ():

        def read(name: str, host: str = node.host) -> Any:
            name = f"multipass_machines_{name}"
            return platform.hosts[host].get(name, platform.values[name])

        wanted = Wanted(
            name=str(read("instance") or node.host),
            cpus=read("cpus"),
            memory=read("memory"),
            disk=read("disk"),
        )
        try:
            check(wanted)
        except Refused as error:
            yield f"host {node.host}: {error}"


RULES: tuple[Callable[[Platform], Iterator[str]], ...] = (instances,)
