"""Which files are made of what helm renders, and what is left out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.kubernetes import manifests
from library.kubernetes.helm_manifests import command, outdated
from tests.support.modules import cases, run_module

# What helm is for these tests: it prints its own standard input, which are the values, as an object.
HELM = """#!/bin/sh
printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: "%s"}\\ndata:\\n' "$2"
sed 's/^/  /'
"""


@pytest.mark.parametrize("case", cases(__file__))
def test_files(case: dict[str, Any]) -> None:
    made = manifests.files(case["rendered"], "web", "there", case.get("labels"), case.get("secrets"))
    found = {name: list(yaml.load_all(text, manifests.Loader)) for name, text in made.items()}
    seen = {name: each for name, each in found.items() if name == case.get("only", name)}
    assert seen == case["files"]


def test_a_text_of_several_lines_can_be_read() -> None:
    rendered = yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a.sh": "one\ntwo\n"}}
    )
    assert "  a.sh: |\n    one\n    two\n" in manifests.files(rendered, "web", "there")["3-web.yaml"]


def test_helm_is_asked_for_no_cluster_and_gets_values_in_no_argument() -> None:
    params = {"binary": "helm", "name": "web", "chart": "web", "namespace": "there"}
    asked = command(
        {**params, "version": "1.2", "repository": "https://charts.example", "values": {"a": "b"}}
    )
    assert " ".join(asked) == (
        "helm template web web --namespace there --include-crds --values - "
        "--version 1.2 --repo https://charts.example"
    )


@pytest.fixture
def helm(tmp_path: Path) -> Path:
    path = tmp_path / "helm"
    path.write_text(HELM)
    path.chmod(0o755)
    return path


def params(helm: Path, **given: Any) -> dict[str, Any]:
    folder = str(helm.parent / "manifests" / "web")
    return {
        "name": "web",
        "namespace": "there",
        "chart": "web",
        "binary": str(helm),
        "folder": folder,
        **given,
    }


def test_files_are_written_once_and_nothing_in_check_mode(
    helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = params(helm, values={"key": "word-of-3"}, secrets={"the key": "word-of-3"})
    folder = Path(given["folder"])
    assert run_module("helm_manifests", given, capsys, check=True)["changed"] is True
    assert not folder.exists()
    answer = run_module("helm_manifests", given, capsys)
    assert answer["changed"] is True
    assert answer["files"] == sorted(path.name for path in folder.iterdir()) != []
    assert "key: <the key>" in (folder / "3-web.yaml").read_text()
    assert run_module("helm_manifests", given, capsys)["changed"] is False
    assert outdated(folder, {"3-web.yaml": "another"}) == {"3-web.yaml": "another"}


def test_what_helm_refuses_is_told_without_the_secret(helm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    helm.write_text("#!/bin/sh\ncat >&2\nexit 1\n")
    given = params(helm, values={"key": "word-of-3"}, secrets={"the key": "word-of-3"})
    answer = run_module("helm_manifests", given, capsys)
    assert answer["failed"]
    assert answer["msg"] == "key: <the key>"
