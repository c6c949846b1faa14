"""Which step brings a release back, and whether one is as wanted, by the records that Helm keeps."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from library.kubernetes.helm_release import Revision, deployed, doubts, plan, read_revisions
from tests.support.cluster_api import answers, serving
from tests.support.modules import cases, run_module


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


RECORDS = "/api/v1/namespaces/web/secrets?labelSelector=owner%3Dhelm%2Cname%3Dweb"
WORKLOAD = "/apis/apps/v1/namespaces/web/deployments/web"
VALUES = {"image": "web:1", "replicas": 2, "password": "open-sesame-2026"}


def record(*, status: str = "deployed", config: Any = VALUES, **metadata: Any) -> dict[str, Any]:
    """Return the Secret of revision 2, encoded as Helm does it."""
    content = {
        "config": config,
        "chart": {"metadata": {"name": "web", "version": "1.0.0", "appVersion": "2.5", **metadata}},
    }
    encoded = base64.b64encode(gzip.compress(json.dumps(content).encode()))
    return {
        "metadata": {"name": "sh.helm.release.v1.web.v2", "labels": {"version": "2", "status": status}},
        "data": {"release": base64.b64encode(encoded).decode()},
    }


def deployment(available: int) -> dict[str, Any]:
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 1},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": available,
        },
    }


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: web\nversion: 1.0.0\nappVersion: 2.5\n")
    return tmp_path / "chart"


@pytest.mark.parametrize(
    ("secret", "available", "values", "current"),
    [
        pytest.param(record(), 1, VALUES, True, id="as_wanted"),
        pytest.param(record(), 0, VALUES, False, id="not_rolled_out"),
        pytest.param(record(), 1, {**VALUES, "replicas": 3}, False, id="other_values"),
        pytest.param(record(), 1, {"image": "web:1"}, False, id="values_that_are_left_out"),
        pytest.param(record(config=None), 1, {}, True, id="no_values"),
        pytest.param(record(version="0.9.0"), 1, VALUES, False, id="other_version"),
        pytest.param(record(appVersion="2.4"), 1, VALUES, False, id="other_version_of_the_program"),
        pytest.param(record(status="superseded"), 1, VALUES, False, id="not_deployed"),
        pytest.param({**record(), "data": {"release": "bm9uZQ=="}}, 1, VALUES, False, id="unreadable_record"),
        pytest.param({**record(), "data": None}, 1, VALUES, False, id="empty_record"),
    ],
)
def test_a_release_is_left_alone_if_it_is_as_wanted(
    secret: dict[str, Any],
    available: int,
    values: dict[str, Any],
    current: bool,
    chart: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = answers(**{RECORDS: {"items": [secret]}, WORKLOAD: deployment(available)})
    with serving(known, tmp_path) as kubeconfig:
        found = run_module(
            "helm_release",
            {
                "plugin": True,
                "name": "web",
                "namespace": "web",
                "kubeconfig": str(kubeconfig),
                "chart": str(chart),
                "values": values,
                "workloads": ["deployment/web"],
            },
            capsys,
        )
    assert (found["current"], found["changed"], found["actions"]) == (current, False, [])


def test_a_release_whose_chart_lies_in_a_repository_is_left_to_helm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(answers(**{RECORDS: {"items": [record()]}}), tmp_path) as kubeconfig:
        given = {"name": "web", "namespace": "web", "kubeconfig": str(kubeconfig), "values": VALUES}
        found = run_module("helm_release", {**given, "plugin": True, "chart": "web"}, capsys)
    assert (found["current"], found["revision"]) == (False, 2)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"chart": "web"}, "works through its action plugin"), ({"plugin": True}, "needs a chart")],
)
def test_what_would_install_nothing_is_refused(
    given: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_module("helm_release", {"name": "web", "namespace": "web", **given}, capsys)
    assert found["failed"]
    assert says in found["msg"]


def test_a_revision_that_helm_has_forgotten_is_nothing_to_go_back_to() -> None:
    kept = [Revision(number, "deployed", f"v{number}") for number in (8, 9)]
    with pytest.raises(ValueError, match="has no revision 3 to go back to; its revisions: 8, 9"):
        plan(kept, 3)
    with pytest.raises(ValueError, match="its revisions: none"):
        plan([], 3)
