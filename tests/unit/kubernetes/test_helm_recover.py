"""Which step brings a release back, by the records that Helm keeps."""

from __future__ import annotations

from typing import Any

import pytest
from library.kubernetes.helm_recover import Revision, deployed, doubts, plan, read_revisions
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    revisions = [Revision(number, status, f"v{number}") for number, status in case["revisions"].items()]
    good_one = case.get("good_one", 0)
    steps = plan(revisions, good_one)
    assert [step.rollback_to or step.forget for step in steps] == case["steps"]
    assert plan(list(reversed(revisions)), good_one) == steps, "the order of the records must not matter"
    assert bool(doubts(revisions)) == case.get("doubts", False)


@pytest.mark.parametrize(
    ("states", "number"),
    [({}, 0), ({1: "failed"}, 0), ({1: "superseded", 2: "deployed"}, 2), ({9: "deployed", 10: "failed"}, 9)],
)
def test_the_revision_that_is_deployed(states: dict[int, str], number: int) -> None:
    assert deployed([Revision(each, status, f"v{each}") for each, status in states.items()]) == number


def test_a_state_that_is_not_known_is_named_with_a_way_out() -> None:
    (warning,) = doubts([Revision(2, "pending-review", "v2")])
    assert "revision 2 is 'pending-review'" in warning
    assert "helm rollback" in warning


class Api:
    """An API that has these Secrets."""

    def __init__(self, *labels: dict[str, str] | None) -> None:
        self.secrets = [
            {"metadata": {"name": f"secret-{number}", "labels": each}} for number, each in enumerate(labels)
        ]

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        return {"items": self.secrets}


def test_a_secret_that_helm_did_not_write_is_no_record() -> None:
    api: Any = Api(
        {"version": "12", "status": "deployed"},
        {"version": "12"},
        {},
        None,
        {"version": "v1", "status": "failed"},
    )
    assert read_revisions(api, "web", "web") == [
        Revision(12, "deployed", "secret-0"),
        Revision(12, "None", "secret-1"),
    ]
