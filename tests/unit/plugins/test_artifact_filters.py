"""Playbooks see the catalogue as the module artifact does."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.filter import artifacts
from plugins.filter.artifacts import architecture, artifact_catalogue

ENTRIES = {"k3s": {"upstream": {"version": "1", "digest": "d"}}}


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "published", lambda: ENTRIES)


@pytest.mark.usefixtures("entries")
def test_the_inventorys_version_counts_and_drops_what_was_pinned_for_another() -> None:
    assert artifact_catalogue({"k3s": {"upstream": {"version": "2"}}}) == {
        "k3s": {"upstream": {"version": "2"}}
    }


def test_the_catalogue_is_this_projects() -> None:
    assert artifact_catalogue()["k3s"]["kind"] == "binary"


@pytest.mark.parametrize(
    "said", [None, "", {}, ["k3s"], {"k3s": "2"}, {"k3ss": {}}, {"k3s": {"upstream": "2"}}]
)
@pytest.mark.usefixtures("entries")
def test_what_preflight_refuses_does_not_end_it(said: Any) -> None:
    assert artifact_catalogue(said) == ENTRIES


@pytest.mark.parametrize(
    ("machine", "name"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("riscv64", "riscv64")],
)
def test_an_architecture_has_its_makers_name(machine: str, name: str) -> None:
    assert architecture(machine) == name
