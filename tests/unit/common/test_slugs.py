"""A slug is the one that KubeSpawner makes, and no two names have the same."""

from __future__ import annotations

import pytest
from ansible.module_utils.metalworks.common.kubernetes_names import is_label
from ansible.module_utils.metalworks.common.slugs import safe_slug
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_the_slug_is_the_spawners(case: dict[str, str]) -> None:
    assert safe_slug(case["id"]) == case["slug"]
    assert is_label(case["slug"])


def test_names_that_look_alike_keep_apart() -> None:
    names = ["a.b", "a_b", "a-b", "a--b", "a---b", "a.-b"]
    assert len({safe_slug(name) for name in names}) == len(names)
