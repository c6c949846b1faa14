"""What people expect to find installed is there, and the two lists of collections agree."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import ansible
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]


@pytest.mark.parametrize("package", ["kubernetes", "openshift", "molecule", "testinfra", "playwright"])
def test_package_is_importable(package: str) -> None:
    assert importlib.import_module(package)


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda each: each["name"])
def test_collection_of_galaxy_is_that_of_pypi(collection: dict[str, str]) -> None:
    packages = Path(ansible.__file__).parents[1] / "ansible_collections"
    folder = packages / collection["name"].replace(".", "/")
    installed = json.loads((folder / "MANIFEST.json").read_text())["collection_info"]["version"]
    assert installed == collection["version"]
