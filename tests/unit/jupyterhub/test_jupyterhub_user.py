"""Which requests lead from the user that is found to the user that is wanted."""

from __future__ import annotations

from typing import Any

import pytest
from library.jupyterhub.jupyterhub_user import Wanted, describe, expected, plan
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    asked = case["wanted"]
    groups = tuple(asked["groups"]) if "groups" in asked else None
    wanted = Wanted(asked.get("name", "ada"), asked.get("present", True), asked.get("admin"), groups)
    steps = plan(wanted, case["found"], set(case.get("known_groups", [])))
    assert [f"{step.method} {step.path}" for step in steps] == case["requests"]
    if not steps:
        assert expected(wanted, case["found"]) == describe(case["found"])
