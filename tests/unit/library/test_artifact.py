"""The module artifact answers where an artifact is, and refuses what it cannot have."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest
import yaml
from in_process import cases, run_module
from tests.reach import mirror


@pytest.mark.parametrize("case", cases(__file__))
def test_artifact(case: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    catalogue = tmp_path / "artifacts.yml"
    catalogue.write_text(yaml.safe_dump({"artifacts": case["catalogue"]}))
    answer = run_module("artifact", {**case["input"], "catalogue": str(catalogue)}, capsys)
    for part in case.get("says", []):
        assert part in answer["msg"]
    expected = {
        key: str(value).replace("ROOT", str(tmp_path)) for key, value in case.get("output", {}).items()
    }
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
    catalogue.write_text("artifacts: {x: {kind: part, licence: MIT, build: {version: 1, recipe: x}}}")
    answer = run_module("artifact", {"name": "x", "source": "build", "catalogue": str(catalogue)}, capsys)
    assert answer["failed"]
    assert "this computer is riscv64" in answer["msg"]
