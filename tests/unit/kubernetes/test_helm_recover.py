"""Which step brings a release back, by the records that Helm keeps."""

from __future__ import annotations

from typing import Any

import pytest
from library.kubernetes.helm_recover import Revision, doubts, plan
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    revisions = [Revision(number, status, f"v{number}") for number, status in case["revisions"].items()]
    steps = plan(revisions)
    assert [step.rollback_to or step.forget for step in steps] == case["steps"]
    assert plan(list(reversed(revisions))) == steps, "the order of the records must not matter"
    assert bool(doubts(revisions)) == case.get("doubts", False)


def test_a_state_that_is_not_known_is_named_with_a_way_out() -> None:
    (warning,) = doubts([Revision(2, "pending-review", "v2")])
    assert "revision 2 is 'pending-review'" in warning
    assert "helm rollback" in warning
