"""Names are what Kubernetes accepts, and a wrong one is answered with one that is right."""

from __future__ import annotations

import pytest
from module_utils.metalworks.common.kubernetes_names import (
    is_label,
    is_subdomain,
    label_problem,
    subdomain_problem,
)


@pytest.mark.parametrize("text", ["a", "jupyterhub", "team-1", "0", "a" * 63])
def test_labels(text: str) -> None:
    assert is_label(text)
    assert is_subdomain(text)
    assert label_problem(text) is None


@pytest.mark.parametrize("text", ["metal-1.lab", "a" * 70, ".".join(["a" * 62] * 4)])
def test_subdomains(text: str) -> None:
    assert is_subdomain(text)
    assert not is_label(text)
    assert subdomain_problem(text) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Team 1", "team-1"),
        ("-team", "team"),
        ("team_", "team"),
        ("team\n", "team"),
        ("A" * 70, "a" * 63),
        ("", "team-1"),
        ("___", "team-1"),
        (7, "7"),
        (None, "none"),
    ],
)
def test_a_wrong_label_is_answered_with_a_right_one(text: object, meant: str) -> None:
    assert str(label_problem(text)).endswith(f"write one like {meant}")
    assert is_label(meant)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Metal-1.Lab", "metal-1.lab"),
        ("metal..lab", "metal.lab"),
        ("metal-.lab", "metal.lab"),
        ("metal_1", "metal-1"),
        (".", "node-1"),
        ("b" * 300, "b" * 253),
    ],
)
def test_a_wrong_subdomain_is_answered_with_a_right_one(text: object, meant: str) -> None:
    assert str(subdomain_problem(text)).endswith(f"write one like {meant}")
    assert is_subdomain(meant)
