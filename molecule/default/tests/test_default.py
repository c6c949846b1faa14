"""Between the first and the second run of site.yml, nothing was restarted."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_second_run_restarted_no_service_and_no_pod(tmp_path: Path) -> None:
    before = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "before.json").read_text())
    record = tmp_path / "after.json"
    subprocess.run(
        ["ansible-playbook", "--inventory", "inventories/lab", "molecule/default/record.yml"],
        cwd=ROOT,
        env={**os.environ, "DEFAULT_RECORD": str(record), "METALWORKS_LAB": "test"},
        check=True,
        capture_output=True,
    )
    after = json.loads(record.read_text())
    assert len(before["services"]) == 2
    assert len(before["pods"]) >= 5
    assert after == before
