"""Rules for this computer: what a run does here at its end must be possible before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..images import docker, registry
from ..kubernetes.kubeconfig import write_problem
from .notebooks import built_here
from .platform import Platform


def kubeconfig_file(platform: Platform) -> Iterator[str]:
    """Refuse a kubeconfig into which the cluster's context could not be written."""
    # An existing cluster's kubeconfig is the operator's, and only read.
    if platform.kind == "existing":
        return
    problem = write_problem(str(platform.values["metalworks_kubeconfig"]))
    if problem:
        yield f"metalworks_kubeconfig: {problem}"


def local_programs(platform: Platform) -> Iterator[str]:
    """Refuse an inventory that needs a program which this computer lacks."""
    built = bool(built_here(platform))
    if "docker" in platform.missing_programs and (built or platform.kind == "lab"):
        yield docker.NOT_INSTALLED
    if "skopeo" in platform.missing_programs and built and platform.values["metalworks_registry"]:
        yield registry.NOT_INSTALLED


RULES: tuple[Callable[[Platform], Iterator[str]], ...] = (kubeconfig_file, local_programs)
