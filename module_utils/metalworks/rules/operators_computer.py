"""Rules for this computer: what a run does here at its end must be possible before anything changes."""

from __future__ import annotations

from collections.abc import Iterator

from ..images import docker, registry
from ..kubernetes.api import kept_problem
from ..kubernetes.kubeconfig import KubeconfigError, located, write_problem
from .notebooks import built_here, how_not_to_build
from .platform import Platform


def kubeconfig_file(platform: Platform) -> Iterator[str]:
    """Refuse a kubeconfig into which the cluster's context could not be written."""
    # An existing cluster's kubeconfig is the operator's, and only read.
    if platform.kind == "existing":
        return
    problem = write_problem(str(platform.values["metalworks_kubeconfig"]))
    if problem:
        yield f"metalworks_kubeconfig: {problem}"


def kubeconfig_keys(platform: Platform) -> Iterator[str]:
    """Refuse keys in the cluster's context that stay there, and with which its API could not be asked."""
    if platform.kind == "existing":
        return
    file = str(platform.values["metalworks_kubeconfig"])
    try:
        problem = kept_problem(located(file), str(platform.values["metalworks_context"]))
    except KubeconfigError:
        return  # kubeconfig_file says it
    if problem:
        yield f"metalworks_kubeconfig {file}, {problem}"


def local_programs(platform: Platform) -> Iterator[str]:
    """Refuse an inventory that needs a program which this computer lacks."""
    built = bool(built_here(platform))
    if "docker" in platform.missing_programs and (built or platform.kind == "lab"):
        # The lab's machines are containers, whatever is built.
        other = f", or build no image here: {how_not_to_build(platform)}" if platform.kind != "lab" else ""
        yield docker.NOT_INSTALLED + other
    if "skopeo" in platform.missing_programs and built and platform.values["metalworks_registry"]:
        yield f"{registry.NOT_INSTALLED}, or build no image here: {how_not_to_build(platform)}"
