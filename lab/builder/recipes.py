"""Every recipe of the lab, wired to the versions in artifacts.yml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lab.k3s.build import StandIn
from module_utils.metalworks.artifacts.catalogue import Artifact, read_catalogue

from . import airgap, charts, debian, docker_images, golang, program_images
from .recipe import ROOT, Recipe

STORAGE = "github.com/rancher/local-path-provisioner"
OPERATOR = "github.com/prometheus-operator/prometheus-operator/cmd"
GATEWAY = "github.com/versity/versitygw"
# The programs of the part logging, and where their linker puts the version that they measure and print.
VICTORIA = {
    "victoria-logs": "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs",
    "vlagent": "github.com/VictoriaMetrics/VictoriaLogs/app/vlagent",
    "vmauth": "github.com/VictoriaMetrics/VictoriaMetrics/app/vmauth",
}
VICTORIA_VERSION = "github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version"


def helm_variables(version: str, kubernetes: str) -> tuple[str, ...]:
    """Return what helm's linker sets.

    `kubernetes` is what helm takes for the cluster's version when it has no cluster to ask: unset, it refuses
    charts that ask for one.
    """
    major, minor, _ = kubernetes.removeprefix("v").split(".")
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


def go_program(name: str, version: str, kubernetes: str) -> Recipe:
    """Return the recipe of one of the lab's Go programs.

    All that use Kubernetes' libraries are pinned by the stand-in's module, so that these are compiled once.
    The others have modules of their own.
    """
    programs = {
        "helm": golang.Program("k3s", "helm.sh/helm/v3/cmd/helm", helm_variables(version, kubernetes)),
        "coredns": golang.Program("k3s", "./coredns"),
        "local-path-provisioner": golang.Program("k3s", STORAGE, (f"main.VERSION=v{version}",)),
        "metrics-server": golang.Program("k3s", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
        "pause": golang.Program("go/pause", "."),
        "prometheus-operator": golang.Program("go/prometheus_operator", f"{OPERATOR}/operator"),
        "prometheus-config-reloader": golang.Program(
            "go/prometheus_operator", f"{OPERATOR}/prometheus-config-reloader"
        ),
        "versitygw": golang.Program(
            "go/object_store", f"{GATEWAY}/cmd/versitygw", (f"main.Version={version}",)
        ),
        "actionlint": golang.Program("go/workflows", "github.com/rhysd/actionlint/cmd/actionlint"),
        "act": golang.Program("go/workflows", "github.com/nektos/act", (f"main.version={version}",)),
        **{
            each: golang.Program("go/logging", package, (f"{VICTORIA_VERSION}={each}-{version}",))
            for each, package in VICTORIA.items()
        },
    }
    return golang.program(name, version, programs[name])


def go_source(name: str, version: str) -> Recipe:
    """Choose the recipe of a program that is built in its makers' own module."""
    number = version.removeprefix("v")
    variables = (f"github.com/prometheus/common/version.Version={number}",)
    prometheus = golang.Source(
        "github.com/prometheus/prometheus",
        # As a library it has another number: that of 3.16.0 is 0.316.0.
        "v0.316.0",
        "h1:f1GRFerhTMKQma+awCoC9T820ecWeGSdF+xAlMHzZzM=",
        "./cmd/prometheus",
        # Without the clients of all clouds, which take ten times as long to compile.
        tags=("remove_all_sd", "enable_kubernetes_sd"),
        variables=variables,
    )
    sources = {
        "prometheus": prometheus,
        "promtool": replace(prometheus, package="./cmd/promtool"),
        "alertmanager": golang.Source(
            "github.com/prometheus/alertmanager",
            version,
            "h1:nbXMjr+P2JaoFd7aHNDxKifEwTPN+TWxM0gNPonuH5w=",
            "./cmd/alertmanager",
            variables=variables,
            stubs=("ui/app/dist/elm/index.html", "ui/app/dist/mantine/index.html"),
        ),
        "versitygw-previous": golang.Source(
            GATEWAY,
            version,
            "h1:Tyn9TOpUn6nTyYfb+e2uaz1prf5Uv44FLpy4RU/foJE=",
            "./cmd/versitygw",
            variables=(f"main.Version={version}",),
        ),
        "node-exporter": golang.Source(
            "github.com/prometheus/node_exporter",
            version,
            "h1:LzcZ6SqJRH2EULBz3Paa1t1uzQaaoo9domuz8FQDkiY=",
            ".",
            variables=variables,
        ),
    }
    return golang.source_program(name, version, sources[name])


RECIPES: dict[str, Callable[[str, str], Recipe]] = {
    "go_toolchain": golang.toolchain,
    "debian_image": lambda name, version: debian.system(name, version, debian.System("base", "base")),
    "node_image": lambda name, version: debian.system(
        name, version, debian.System("node", "node", ("/sbin/init",))
    ),
    "docker_image": docker_images.recipe,
    "go_source": go_source,
    "monitoring_chart": charts.monitoring,
    "program_image": program_images.recipe,
    "debian_package": lambda name, version: debian.busybox(name, version, "base-image"),
}


def all_recipes() -> dict[str, Recipe]:
    """Return the recipe of every artifact that the catalogue says can be built."""
    catalogue = read_catalogue(ROOT / "artifacts.yml")
    return {
        name: _recipe(artifact, catalogue)
        for name, artifact in catalogue.items()
        if artifact.build.get("recipe") in (*RECIPES, "airgap_images", "go_program", "k3s")
    }


def _recipe(artifact: Artifact, catalogue: dict[str, Artifact]) -> Recipe:
    recipe, version = artifact.build["recipe"], artifact.version("build")
    images = {name: catalogue[name].version("build") for name in airgap.INGREDIENTS}
    made: Recipe
    if recipe == "airgap_images":
        made = airgap.recipe(artifact.name, version, images)
    elif recipe == "k3s":
        made = golang.k3s(artifact.name, StandIn(version, images, artifact.build.get("modules", "go.mod")))
    elif recipe == "go_program":
        made = go_program(artifact.name, version, StandIn(catalogue["k3s"].version("build")).kubernetes)
    else:
        made = RECIPES[recipe](artifact.name, version)
    return replace(made, on_demand=bool(artifact.build.get("on_demand")))
