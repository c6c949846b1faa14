"""Runs a module of library/ in this process: its main(), its exit, its refusal."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]


class Result(dict[str, Any]):
    """What the module printed; `failed` tells which way it ended."""


def run_module(
    name: str, params: dict[str, Any], capsys: pytest.CaptureFixture[str], *, check: bool = False
) -> Result:
    """Run a module of library/ with these parameters, and return what it answers."""
    (path,) = ROOT.glob(f"library/*/{name}.py")
    module = importlib.import_module(f"library.{path.parent.name}.{name}")
    arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit) as end:
        module.main()
    answer = Result(json.loads(capsys.readouterr().out))
    answer["failed"] = end.value.code not in (0, None)
    return answer


def cases(file: str) -> list[Any]:
    """The cases of a YAML table beside the test, one `pytest.param` each, named by their sentence."""
    table = yaml.load(Path(file).with_suffix(".yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return [pytest.param(case, id=case["id"]) for case in table]
