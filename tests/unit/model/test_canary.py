"""When a canary is refused, before anything changes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.model.canary import canary_problem

RECO = {"name": "reco", "kind": "recommender"}


@pytest.mark.parametrize(
    ("entry", "share", "version", "aliases", "says"),
    [
        (RECO, 0.1, "", None, ""),
        (RECO, "0.5", "2", {"champion": "1"}, ""),
        ({"name": "mine"}, 0.1, "", None, "mine has no kind, so nothing watches it"),
        (RECO, 0, "", None, "model_canary_share is 0: write a number above 0, and at most 0.5"),
        (RECO, 0.51, "", None, "model_canary_share is 0.51: write"),
        (RECO, -0.1, "", None, "model_canary_share is -0.1: write"),
        (RECO, "nan", "", None, "model_canary_share is nan: write"),
        (RECO, "10 %", "", None, "model_canary_share is 10 %: write"),
        (RECO, None, "", None, "model_canary_share is None: write"),
        (RECO, 0.1, "2", {"champion": "2"}, "version 2 of reco is the champion: name another one"),
        (RECO, 0.1, "2", {}, "reco has no champion to be compared with"),
        (RECO, 0.1, "3", {"champion": "1", "candidate": "2"}, "version 2 of reco is the candidate already"),
        (RECO, 0.1, "2", {"champion": "1", "candidate": "2"}, "version 2 of reco is the candidate already"),
    ],
)
def test_what_is_refused(entry: Any, share: Any, version: str, aliases: Any, says: str) -> None:
    found = canary_problem(entry, share, version, aliases)
    assert found.startswith(says) if says else found == ""
