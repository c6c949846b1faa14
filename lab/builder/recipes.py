"""Every recipe of the lab, wired to the versions in artifacts.yml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from module_utils.metalworks.artifacts.catalogue import Artifact, read_catalogue

from . import airgap, debian, docker_images, golang
from .recipe import ROOT, Recipe

KUBERNETES = ("1", "34")  # what helm takes for the cluster's version when it has no cluster to ask


def helm_variables(version: str) -> tuple[str, ...]:
    """Return what helm's linker sets: unset, it refuses charts that ask for a Kubernetes version."""
    major, minor = KUBERNETES
    places = ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules")
    known = tuple(
        f"{place}.k8sVersion{part}={value}"
        for place in places
        for part, value in (("Major", major), ("Minor", minor))
    )
    return (
        f"helm.sh/helm/v3/internal/version.version={version}",
        "helm.sh/helm/v3/internal/version.gitTreeState=clean",
        *known,
    )


def go_program(name: str, version: str) -> Recipe:
    """Return the recipe of one of the lab's Go programs."""
    storage = "github.com/rancher/local-path-provisioner"
    programs = {
        "helm": golang.Program("k3s", "helm.sh/helm/v3/cmd/helm", helm_variables(version)),
        "coredns": golang.Program("k3s", "github.com/coredns/coredns"),
        "local-path-provisioner": golang.Program(
            "go/local-path-provisioner", storage, (f"main.VERSION=v{version}",), alone=True
        ),
        "metrics-server": golang.Program(
            "go/metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", alone=True
        ),
        "pause": golang.Program("go/pause", "."),
    }
    return golang.program(name, version, programs[name])


RECIPES: dict[str, Callable[[str, str], Recipe]] = {
    "go_toolchain": golang.toolchain,
    "go_program": go_program,
    "k3s": golang.k3s,
    "debian_image": lambda name, version: debian.system(name, version, debian.System("base", "base")),
    "node_image": lambda name, version: debian.system(
        name, version, debian.System("node", "node", ("/sbin/init",))
    ),
    "docker_image": docker_images.recipe,
    "debian_package": lambda name, version: debian.busybox(name, version, "base-image"),
}


def all_recipes() -> dict[str, Recipe]:
    """Return the recipe of every artifact that the catalogue says can be built."""
    catalogue = read_catalogue(ROOT / "artifacts.yml")
    return {
        name: _recipe(artifact, catalogue)
        for name, artifact in catalogue.items()
        if artifact.build.get("recipe") in (*RECIPES, "airgap_images")
    }


def _recipe(artifact: Artifact, catalogue: dict[str, Artifact]) -> Recipe:
    recipe, version = artifact.build["recipe"], artifact.version("build")
    if recipe == "airgap_images":
        parts = {part: catalogue[part].version("build") for part in airgap.PARTS}
        return airgap.recipe(artifact.name, version, parts)
    made = RECIPES[recipe](artifact.name, version)
    return replace(made, on_demand=bool(artifact.build.get("on_demand")))
