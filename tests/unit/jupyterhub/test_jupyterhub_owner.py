"""A hub that another inventory made is told apart from one's own, and from none."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster_api import HUB_SECRETS, answers, hub, serving
from tests.support.modules import run_module

OWN, OTHER = "t" * 64, "u" * 64


def ask(known: dict[str, Any], folder: Path, capsys: Any) -> dict[str, Any]:
    with serving(known, folder) as path:
        return run_module(
            "jupyterhub_owner", {"kubeconfig": str(path), "namespace": "hub", "token": OWN}, capsys
        )


def test_a_namespace_without_a_hub_is_free(tmp_path: Path, capsys: Any) -> None:
    assert ask(answers(), tmp_path, capsys)["problems"] == []


def test_ones_own_hub_is_known_by_its_token(tmp_path: Path, capsys: Any) -> None:
    assert ask(answers(**hub({"hub.services.metalworks.apiToken": OWN})), tmp_path, capsys)["problems"] == []


@pytest.mark.parametrize(
    "data",
    [{"hub.services.metalworks.apiToken": OTHER}, {"hub.services.other.apiToken": OWN}, {}],
    ids=["of_another_inventory", "of_another_service", "made_by_hand"],
)
def test_another_hub_is_somebody_elses(data: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    answer = ask(answers(**hub(data)), tmp_path, capsys)
    assert len(answer["problems"]) == 1
    assert "the namespace hub holds a hub (Deployment hub)" in answer["problems"][0]
    assert "jupyterhub_adopt: true" in answer["problems"][0]
    for secret in (OWN, OTHER):
        assert secret not in str(answer)
        assert base64.b64encode(secret.encode()).decode() not in str(answer)


def test_a_hub_whose_secret_nobody_shows_is_not_taken(tmp_path: Path, capsys: Any) -> None:
    known = answers(**hub({}))
    known[HUB_SECRETS] = 403
    answer = ask(known, tmp_path, capsys)
    assert answer["failed"]
    assert "403" in answer["msg"]
