"""An image that is made here gets the registry's name when there is a registry; others keep theirs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from module_utils.metalworks.images.names import PLACEHOLDER_HOST, for_pods, in_registry, is_made_here

ROOT = Path(__file__).resolve().parents[3]
OURS = f"{PLACEHOLDER_HOST}/hub:5.5.0-f0a64477"
THEIRS = "quay.example/jupyterhub/hub:4"


@pytest.mark.parametrize(
    ("reference", "address", "repository", "expected"),
    [
        (OURS, "r.example:5000", "metalworks", "r.example:5000/metalworks/hub:5.5.0-f0a64477"),
        (OURS, "r.example", "a/b", "r.example/a/b/hub:5.5.0-f0a64477"),
        (OURS, "r.example", "", "r.example/hub:5.5.0-f0a64477"),
        (THEIRS, "r.example", "", "r.example/jupyterhub/hub:4"),
    ],
)
def test_the_place_of_an_image_in_a_registry(
    reference: str, address: str, repository: str, expected: str
) -> None:
    assert in_registry(reference, address, repository) == expected


def test_only_images_that_are_made_here_change_their_name() -> None:
    assert is_made_here(OURS)
    assert not is_made_here(THEIRS)
    assert for_pods(OURS, "r.example", "m") == "r.example/m/hub:5.5.0-f0a64477"
    assert for_pods(THEIRS, "r.example", "m") == THEIRS


def test_programs_that_cannot_import_the_placeholder_say_the_same() -> None:
    for path, pattern in {
        "lab/k3s/internal/layout/layout.go": r'ImageBase += "([^/]+)/',
        "benchmarks/cluster/floor.sh": r"sandbox = '([^/]+)/",
        "playbooks/templates/platform.json.j2": r"select\('match', '([^/]+)/'",
    }.items():
        said = re.search(pattern, (ROOT / path).read_text())
        assert said
        assert said[1] == PLACEHOLDER_HOST, path
