"""Can the end of the run do on this computer what it has to? It is tried before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..kubernetes.kubeconfig import write_problem
from .platform import Platform


def kubeconfig_file(platform: Platform) -> Iterator[str]:
    """Refuse a kubeconfig into which the cluster's context could not be written."""
    # An existing cluster's kubeconfig is the operator's, and only read.
    if platform.kind == "existing":
        return
    problem = write_problem(str(platform.values["metalworks_kubeconfig"]))
    if problem:
        yield f"metalworks_kubeconfig: {problem}"


RULES: tuple[Callable[[Platform], Iterator[str]], ...] = (kubeconfig_file,)
