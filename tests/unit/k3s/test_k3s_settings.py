"""What is wrong with a k3s configuration is said before a service dies of it."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s.keys import KEYS, REFUSED
from ansible.module_utils.metalworks.k3s.settings import problems, warnings
from ansible.module_utils.metalworks.k3s.types import TYPES
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_problems(case: dict[str, Any]) -> None:
    peers, unchecked = case.get("peers", ()), case.get("unchecked", ())
    found = problems(
        case.get("role", "server"),
        case["config"],
        case.get("version", "v1.34.4+k3s1"),
        peers,
        case.get("machine_network"),
        unchecked,
    )
    assert differences(found, case.get("says", [])) == []
    if not found or "warns" in case:
        assert differences(warnings(case["config"], peers, unchecked), case.get("warns", [])) == []


def differences(found: list[str], expected: list[str]) -> list[tuple[str | None, str | None]]:
    """The sentences that were not expected, and the expected parts that no sentence has."""
    pairs = zip_longest(found, expected)
    return [(said, part) for said, part in pairs if said is None or part is None or part not in said]


def test_no_key_is_both_known_and_refused() -> None:
    assert not set(KEYS) & set(REFUSED)


def test_every_key_has_a_type_that_is_checked() -> None:
    assert {key.kind for key in KEYS.values()} <= set(TYPES)


def test_every_agreed_key_is_a_servers() -> None:
    assert all(key.server_only for key in KEYS.values() if key.agreed)
