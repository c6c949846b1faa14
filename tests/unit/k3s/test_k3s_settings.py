"""What is wrong with a k3s configuration is said before a service dies of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s.keys import KEYS
from ansible.module_utils.metalworks.k3s.settings import problems
from ansible.module_utils.metalworks.k3s.types import TYPES
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_problems(case: dict[str, Any]) -> None:
    found = problems(
        case.get("role", "server"),
        case["config"],
        case.get("version", "v1.34.4+k3s1"),
        case.get("peers", ()),
        case.get("machine_network"),
    )
    expected = case.get("says", [])
    assert len(found) == len(expected), found
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence


def test_every_key_has_a_type_that_is_checked() -> None:
    assert {key.kind for key in KEYS.values()} <= set(TYPES)


def test_every_agreed_key_is_a_servers() -> None:
    assert all(key.server_only for key in KEYS.values() if key.agreed)
