"""The stand-in has the versions of artifacts.yml, and its modules agree on one of each library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab.builder.airgap import INGREDIENTS
from lab.builder.recipe import LAB, ROOT
from lab.builder.recipes import all_recipes
from lab.k3s.build import IMAGES, StandIn
from module_utils.metalworks.artifacts.catalogue import read_catalogue

CATALOGUE = read_catalogue(ROOT / "artifacts.yml")
BUILT = [artifact for artifact in CATALOGUE.values() if artifact.build.get("recipe") == "k3s"]
VERSIONS = {name: CATALOGUE[name].version("build") for name in INGREDIENTS}
PROGRAMS = {
    "helm": "helm.sh/helm/v3",
    "coredns": "github.com/coredns/coredns",
    "metrics-server": "sigs.k8s.io/metrics-server",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
}


def stand_in(name: str) -> StandIn:
    artifact = CATALOGUE[name]
    return StandIn(artifact.version("build"), VERSIONS, artifact.build.get("modules", "go.mod"))


@pytest.mark.parametrize("name", [artifact.name for artifact in BUILT])
def test_the_linker_sets_every_version(name: str) -> None:
    wanted = stand_in(name)
    flags = wanted.linker_flags()
    major, minor = wanted.kubernetes.removeprefix("v").split(".")[:2]
    assert f"-X main.version={wanted.version}" in flags
    assert f"-X k8s.io/component-base/version.gitMajor={major}" in flags
    assert f"-X k8s.io/client-go/pkg/version.gitMinor={minor}" in flags
    variables = re.findall(r"^\t(\w+Version) +=", (LAB / "k3s/internal/layout/layout.go").read_text(), re.M)
    assert sorted(variables) == sorted(IMAGES.values())
    for variable in variables:
        assert [flag for flag in flags if f".{variable}=" in flag and not flag.endswith("=")]


def test_another_kubernetes_than_the_catalogues_is_not_built() -> None:
    with pytest.raises(ValueError, match=r"another Kubernetes than v1\.0\.0\+lab1"):
        StandIn("v1.0.0+lab1", VERSIONS).linker_flags()


def test_the_lab_can_try_an_upgrade_of_one_minor_release() -> None:
    minors = {name: int(CATALOGUE[name].version("build").split(".")[1]) for name in ("k3s", "k3s-previous")}
    assert minors["k3s"] == minors["k3s-previous"] + 1
    assert all_recipes()["k3s-previous"].on_demand


def test_upstream_and_stand_in_are_of_one_release_line() -> None:
    artifact = CATALOGUE["k3s"]
    lines = {artifact.version(source).rpartition(".")[0] for source in ("upstream", "build")}
    assert len(lines) == 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_module_has_the_catalogues_version(name: str) -> None:
    required = StandIn("").required(PROGRAMS[name])
    assert required.removeprefix("v") == CATALOGUE[name].version("build").removeprefix("v")


def modules() -> list[Path]:
    return sorted((LAB / "k3s").glob("*.mod"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_one_version_of_kubernetes_libraries_is_compiled(path: Path) -> None:
    """Each is replaced by the release of Kubernetes itself, so that all programs share what is compiled."""
    text = path.read_text()
    kubernetes = re.search(r"^\tk8s\.io/kubernetes v1\.(\S+)", text, re.M)
    assert kubernetes
    replaced = re.findall(r"^\tk8s\.io/(\S+) => k8s\.io/\1 v0\.(\S+)$", text, re.M)
    assert len(replaced) > 25
    assert {version for _, version in replaced} == {kubernetes[1]}
