"""The module artifact answers where an artifact is, and refuses what it cannot have."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.modules import ROOT, cases, run_module
from tests.targets import mirror


@pytest.mark.parametrize("case", cases(__file__))
def test_artifact(case: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    catalogue = tmp_path / "artifacts.yml"
    catalogue.write_text(yaml.safe_dump({"artifacts": case["catalogue"]}))
    answer = run_module("artifact", {**case["input"], "catalogue": str(catalogue)}, capsys)
    for part in case.get("says", []):
        assert part in answer["msg"]
    expected = json.loads(json.dumps(case.get("output", {})).replace("ROOT", str(tmp_path)))
    assert {key: answer.get(key) for key in expected} == expected, answer
    assert answer["failed"] == ("says" in case)


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-amd64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "arm64", "darwin-arm64"),
    ],
)
def test_a_tool_is_fetched_for_this_computer(
    system: str, machine: str, name: str, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tool = tmp_path / "helm"
    tool.write_text(name)
    archive = mirror.packed({f"{name}/helm": tool})
    pages = {f"/helm-v3-{name}.tar.gz": archive, "/sums": mirror.sums({f"helm-v3-{name}.tar.gz": archive})}
    with mirror.serving(mirror.Site(pages)) as site:
        upstream = {
            "version": "v3",
            "url": f"{site.url}/helm-{{version}}-{{os}}-{{arch}}.tar.gz",
            "checksum_url": f"{site.url}/sums",
            "member": "{os}-{arch}/helm",
        }
        catalogue = tmp_path / "artifacts.yml"
        helm = {"kind": "binary", "licence": "MIT", "upstream": upstream}
        catalogue.write_text(yaml.safe_dump({"artifacts": {"helm": helm}}))
        answer = run_module("artifact", {"name": "helm", "catalogue": str(catalogue)}, capsys)
    assert Path(answer["path"]).read_text() == name
    assert (answer["sha256"], answer["changed"]) == (mirror.sha256(tool), True)


def test_a_computer_that_nobody_publishes_for_is_refused(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    catalogue = tmp_path / "artifacts.yml"
    catalogue.write_text("artifacts: {x: {kind: ingredient, licence: MIT, build: {version: 1, recipe: x}}}")
    answer = run_module("artifact", {"name": "x", "source": "build", "catalogue": str(catalogue)}, capsys)
    assert answer["failed"]
    assert "this computer is riscv64" in answer["msg"]


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_catalogues_addresses_are_those_of_a_release(
    arch: str, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """k3s, its images and the chart, with nothing changed in artifacts.yml but the sites' names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = (ROOT / "artifacts.yml").read_text()
    entries = yaml.safe_load(written)["artifacts"]
    version = entries["k3s"]["upstream"]["version"]
    chart = entries["jupyterhub-chart"]["upstream"]["version"]
    pages = {
        **mirror.k3s_release(version, arch, f"k3s for {arch}".encode(), f"images for {arch}".encode()),
        **mirror.chart_repository({chart: b"the chart"}),
    }
    with mirror.serving(mirror.Site(pages)) as site:
        for maker in ("https://github.com", "https://hub.jupyter.org"):
            assert maker in written
            written = written.replace(maker, site.url)
        (tmp_path / "artifacts.yml").write_text(written)
        params = {"arch": arch, "catalogue": str(tmp_path / "artifacts.yml")}
        found = {
            name: run_module("artifact", {"name": name, **params}, capsys)
            for name in ("k3s", "k3s-airgap-images", "jupyterhub-chart")
        }
    assert {name: Path(answer["path"]).read_text() for name, answer in found.items()} == {
        "k3s": f"k3s for {arch}",
        "k3s-airgap-images": f"images for {arch}",
        "jupyterhub-chart": "the chart",
    }
