"""The module artifact answers where an artifact is, and refuses what it cannot have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from in_process import cases, run_module


@pytest.mark.parametrize("case", cases(__file__))
def test_artifact(case: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    catalogue = tmp_path / "artifacts.yml"
    catalogue.write_text(yaml.safe_dump({"artifacts": case["catalogue"]}))
    answer = run_module("artifact", {**case["input"], "catalogue": str(catalogue)}, capsys)
    for part in case.get("says", []):
        assert part in answer["msg"]
    expected = {
        key: str(value).replace("ROOT", str(tmp_path)) for key, value in case.get("output", {}).items()
    }
    assert {key: answer.get(key) for key in expected} == expected, answer
    assert answer["failed"] == ("says" in case)
