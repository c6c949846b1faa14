"""Which steps bring the buckets to what is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible.module_utils.metalworks.object_store.plan import Bucket, Found, Step, Upload, plan
from tests.support.modules import cases

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def policy(case: dict[str, Any]) -> dict[str, Any] | None:
    """A policy by its number; shuffled, its keys stand in another order."""
    if "policy" not in case:
        return None
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Sid": str(case["policy"])}]}
    return dict(reversed(document.items())) if case.get("shuffled") else document


def buckets(described: dict[str, Any]) -> dict[str, Bucket]:
    return {name: Bucket(name, bool(each.get("versioned")), policy(each)) for name, each in described.items()}


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    uploads = [
        Upload(bucket, "k", "id", NOW - timedelta(days=days)) for bucket, days in case.get("uploads", [])
    ]
    found = Found(buckets(case.get("there", {})), uploads)
    steps = plan(buckets(case["wanted"]).values(), found, 7, NOW)
    assert [f"{step.what} {step.bucket}" for step in steps] == case.get("steps", [])


@pytest.mark.parametrize("what", ["create", "version", "suspend", "allow", "forbid", "abort"])
def test_each_step_is_a_sentence_about_its_bucket(what: str) -> None:
    assert "models" in Step(what, "models").sentence
