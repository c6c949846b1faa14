"""Which machines of a lab differ, which are somebody else's, and which are removed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab.roles.lab_machines.filter_plugins.lab_machines import (
    lab_interfaces,
    lab_machine,
    lab_survey,
)
from tests.support.modules import cases


def container(
    name: str, lab: str = "", settings: dict[str, Any] | None = None, state: str = "running"
) -> dict[str, Any]:
    labels = {"metalworks": lab} if lab else {}
    if settings is not None:
        labels["metalworks.settings"] = json.dumps(settings)
    return {"Names": [f"/{name}"], "Labels": labels or None, "State": state}


@pytest.mark.parametrize("case", cases(__file__))
def test_in_what_a_machine_differs(case: dict[str, Any]) -> None:
    docker = {"containers": [container(**each) for each in case["containers"]]}
    assert lab_machine(docker, "lab-one", case["wanted"]) == {
        "exists": case["differs"] is not None,
        "runs": case.get("runs", case["differs"] is not None),
        "differences": case["differs"] or [],
    }


DOCKER = {
    "containers": [
        container("lab-one", "lab", {"checkout": "/here"}),
        container("lab-two", "lab", {"checkout": "/there"}),
        container("lab-three", "lab", {}),
        container("lab2-one", "lab2", {"checkout": "/elsewhere"}),
        container("database"),
    ],
    "volumes": [{"Name": "lab-one-data"}, {"Name": "lab-two-data"}, {"Name": "lab-gone-data"}],
}


def test_machines_of_another_checkout_are_told_from_ours() -> None:
    assert lab_survey(DOCKER, "lab", "/here", [])["elsewhere"] == ["/there"]
    assert lab_survey(DOCKER, "lab3", "/here", [])["elsewhere"] == []


def test_a_lab_is_removed_whole_with_data_that_lost_its_machine() -> None:
    survey = lab_survey(DOCKER, "lab", "/here", [])
    assert survey["staying"] == []
    assert survey["containers"] == ["lab-one", "lab-two", "lab-three"]
    assert survey["volumes"] == ["lab-one-data", "lab-two-data", "lab-gone-data"]


def test_machines_of_hosts_outside_of_the_play_stay_with_their_data() -> None:
    survey = lab_survey(DOCKER, "lab", "/here", ["two", "never-made"])
    assert survey["staying"] == ["lab-two"]
    assert survey["containers"] == ["lab-one", "lab-three"]
    assert survey["volumes"] == ["lab-one-data", "lab-gone-data"]


def test_the_labs_own_network_comes_first() -> None:
    networks = [{"name": "nodes", "subnet": "10.1.0.0/24", "address": "10.1.0.7"}]
    assert lab_interfaces(networks, "metalworks-lab", "172.30.7.11") == [
        {"name": "metalworks-lab", "ipv4_address": "172.30.7.11"},
        {"name": "nodes", "ipv4_address": "10.1.0.7"},
    ]
