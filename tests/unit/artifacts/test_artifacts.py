"""The catalogue says where each artifact comes from, and refuses what it cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from module_utils.metalworks.artifacts.catalogue import (
    CatalogueError,
    find_catalogue,
    look_up,
    parse_artifact,
    read_catalogue,
)
from tests.support.modules import cases

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("case", cases(__file__))
def test_an_entry(case: dict[str, Any]) -> None:
    def published() -> Any:
        place = (case.get("arch", "amd64"), case.get("system", "linux"))
        return parse_artifact("thing", case["entry"]).published(*place)

    if "refused" in case:
        with pytest.raises(CatalogueError) as error:
            published()
        assert case["refused"] in str(error.value)
        return
    for key, value in case["published"].items():
        assert getattr(published(), key) == value


def test_the_nearest_catalogue_above_is_found(tmp_path: Path) -> None:
    (tmp_path / "artifacts.yml").touch()
    below = tmp_path / "molecule" / "role"
    below.mkdir(parents=True)
    assert find_catalogue(below) == tmp_path / "artifacts.yml"


def test_without_a_catalogue_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=str(tmp_path)):
        find_catalogue(tmp_path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    catalogue = read_catalogue(ROOT / "artifacts.yml")
    with pytest.raises(CatalogueError, match=r"artifacts\.yml knows k3s, k3s-previous, k3s-airgap-images"):
        look_up(catalogue, "k4s")


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_what_is_published_can_be_verified(arch: str, system: str) -> None:
    for artifact in read_catalogue(ROOT / "artifacts.yml").values():
        published = artifact.published(arch, system) if artifact.upstream else None
        if published and published.url:
            assert published.checksum_url or published.sha256, artifact.name
            assert "{" not in published.url + published.checksum_url + published.member
