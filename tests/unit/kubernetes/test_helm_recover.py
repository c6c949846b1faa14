"""Which step brings a release back, by the records that Helm keeps."""

from __future__ import annotations

from typing import Any

import pytest
from in_process import cases
from library.kubernetes.helm_recover import Revision, plan


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    revisions = [Revision(number, status, f"v{number}") for number, status in case["revisions"].items()]
    steps = plan(revisions)
    assert [step.rollback_to or step.forget for step in steps] == case["steps"]
    assert plan(list(reversed(revisions))) == steps, "the order of the records must not matter"
