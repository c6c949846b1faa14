"""The recipes honour the computer's own settings, and every artifact of the catalogue has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab.builder.debian import computers_mirror, packages
from lab.builder.recipe import LAB, ROOT
from lab.builder.recipes import all_recipes
from module_utils.metalworks.artifacts.catalogue import read_catalogue
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_the_mirror_is_the_one_of_this_computers_apt(case: dict[str, Any], tmp_path: Path) -> None:
    for name, content in case["files"].items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert computers_mirror(case.get("suite", "bookworm"), tmp_path) == case["mirror"]


def test_every_artifact_that_is_built_has_a_recipe() -> None:
    built = {
        name
        for name, artifact in read_catalogue(ROOT / "artifacts.yml").items()
        if artifact.build and artifact.build["recipe"] != "folder"
    }
    assert set(all_recipes()) == built


def test_every_need_has_a_recipe() -> None:
    recipes = all_recipes()
    assert {need for recipe in recipes.values() for need in recipe.needs} <= set(recipes)


@pytest.mark.parametrize("folder", ["base", "node"])
def test_a_list_of_packages_holds_names_only(folder: str) -> None:
    names = packages(LAB / folder / "packages.txt")
    assert len(names) == len(set(names)) > 3
    assert all(" " not in name and "#" not in name for name in names)


def test_no_lock_file_names_a_host() -> None:
    locks = [
        *ROOT.glob("lab/**/requirements.txt"),
        *ROOT.glob("files/**/requirements.txt"),
        *ROOT.glob("lab/**/package-lock.json"),
    ]
    assert len(locks) >= 5
    for lock in locks:
        text = lock.read_text()
        assert "--index-url" not in text
        assert '"resolved"' not in text
        assert "--hash=" in text or '"integrity"' in text
