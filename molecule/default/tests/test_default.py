"""Between the first and the second run of site.yml, nothing was restarted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def recorded(when: str) -> dict[str, Any]:
    return json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / f"{when}.json").read_text())


def test_second_run_restarted_no_service_and_no_pod() -> None:
    before, after = recorded("before"), recorded("after")
    assert len(before["services"]) == 2
    assert len(before["pods"]) >= 5
    assert after == before
