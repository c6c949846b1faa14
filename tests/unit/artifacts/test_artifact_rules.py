"""What an inventory says over the catalogue is merged deeply, and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from module_utils.metalworks.artifacts.rules import merged, problems
from tests.support.modules import cases

ENTRIES: dict[str, Any] = yaml.safe_load((Path(__file__).resolve().parents[3] / "artifacts.yml").read_text())[
    "artifacts"
]


@pytest.mark.parametrize("case", cases(__file__))
def test_what_an_inventory_says(case: dict[str, Any]) -> None:
    found = problems(ENTRIES, case["says"])
    assert len(found) == len(case["problems"]), found
    for sentence, part in zip(found, case["problems"], strict=True):
        assert part in sentence
        assert "s3cret" not in sentence


def test_what_is_not_said_is_the_catalogues() -> None:
    mirror = {"k3s": {"upstream": {"url": {"amd64": "https://files.example/{version}/k3s"}}}}
    found = merged(ENTRIES, mirror)
    assert found["k3s"]["upstream"]["url"]["amd64"] == "https://files.example/{version}/k3s"
    for key in ("version", "checksum_url"):
        assert found["k3s"]["upstream"][key] == ENTRIES["k3s"]["upstream"][key]
    assert found["k3s"]["upstream"]["url"]["arm64"] == ENTRIES["k3s"]["upstream"]["url"]["arm64"]
    assert found["helm"] == ENTRIES["helm"]


@pytest.mark.parametrize(("version", "pinned"), [("1.0", True), ("1.1", False)])
def test_a_pinned_digest_belongs_to_its_version(version: str, pinned: bool) -> None:
    entries = {"hub": {"kind": "image", "upstream": {"version": "1.0", "reference": "x/hub", "digest": "d"}}}
    found = merged(entries, {"hub": {"upstream": {"version": version}}})
    assert ("digest" in found["hub"]["upstream"]) is pinned
    assert entries["hub"]["upstream"]["digest"] == "d"


FOLLOWING = [("k3s", "k3s-airgap-images"), ("jupyterhub-chart", "hub-image")]


@pytest.mark.parametrize(("leader", "follower"), FOLLOWING)
def test_what_belongs_together_has_one_version(leader: str, follower: str) -> None:
    for said, version in (
        ({}, merged(ENTRIES, {})[leader]["upstream"]["version"]),
        ({"version": "9.9"}, "9.9"),
    ):
        found = merged(ENTRIES, {leader: {"upstream": said}})
        assert found[leader]["upstream"]["version"] == found[follower]["upstream"]["version"] == version


@pytest.mark.parametrize(("leader", "follower"), FOLLOWING)
def test_a_version_of_its_own_is_no_longer_that_of_another(leader: str, follower: str) -> None:
    own = {name: {"upstream": {"version": version}} for name, version in ((leader, "9.9"), (follower, "8.8"))}
    assert merged(ENTRIES, own)[follower]["upstream"]["version"] == "8.8"


def test_a_follower_drops_what_was_pinned_for_the_version_before() -> None:
    entries = {
        "chart": {"kind": "chart", "upstream": {"version": "1.0", "repository": "r", "chart": "c"}},
        "hub": {"kind": "image", "follows": "chart", "upstream": {"reference": "x/hub", "digest": "d"}},
    }
    assert merged(entries, {})["hub"]["upstream"]["digest"] == "d"
    newer = {"chart": {"upstream": {"version": "1.1"}}}
    assert "digest" not in merged(entries, newer)["hub"]["upstream"]
    assert (
        merged(entries, {**newer, "hub": {"upstream": {"digest": "e"}}})["hub"]["upstream"]["digest"] == "e"
    )


def test_a_new_sum_of_one_architecture_does_not_keep_the_old_one_of_another() -> None:
    entries = {
        "k3s": {"kind": "binary", "upstream": {"version": "1", "sha256": {"amd64": "a", "arm64": "b"}}}
    }
    found = merged(entries, {"k3s": {"upstream": {"version": "2", "sha256": {"amd64": "c"}}}})
    assert found["k3s"]["upstream"]["sha256"] == {"amd64": "c"}
