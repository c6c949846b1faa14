"""What an inventory says over the catalogue is merged deeply, and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from in_process import cases
from module_utils.metalworks.artifact_rules import merged, problems

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
