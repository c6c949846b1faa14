"""A long playbook parses what every module imports once, and sends the same modules as before."""

from __future__ import annotations

import gc
import sys
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.executor import module_common
from ansible.plugins.loader import filter_loader, test_loader
from plugins.callback import shared_work
from plugins.callback.shared_work import LONG_ENOUGH, CallbackModule


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that are parsed."""
    names: list[str] = []
    parse = module_common._compile_module_ast

    def counted(name: str, source: Any) -> Any:
        names.append(name)
        return parse(name, source)

    monkeypatch.setattr(module_common, "_compile_module_ast", counted)
    return names


def begin_tasks(number: int) -> None:
    """Tell a new callback that tasks begin."""
    callback = CallbackModule()
    for _ in range(number):
        callback.v2_playbook_on_task_start(None, False)


def test_a_short_playbook_is_left_alone(parsed: list[str]) -> None:
    frozen = gc.get_freeze_count()
    begin_tasks(LONG_ENOUGH - 1)
    assert parsed == [] and gc.get_freeze_count() <= frozen


def test_a_long_one_parses_each_file_once(parsed: list[str]) -> None:
    frozen = gc.get_freeze_count()
    begin_tasks(LONG_ENOUGH + 1)
    assert any("basic" in name for name in parsed) and gc.get_freeze_count() > frozen
    before = len(parsed)
    assert before == len(set(parsed))
    CallbackModule.tasks = 0
    begin_tasks(LONG_ENOUGH)
    assert len(parsed) == before, "a second time, all of it is found parsed"


def test_a_long_one_loads_filters_and_tests_once(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loaders = (filter_loader, test_loader)
    for loader in loaders:
        loader._clear_caches()
    begin_tasks(LONG_ENOUGH)
    load = Mock()
    for loader in loaders:
        monkeypatch.setattr(loader, "_load_module_source", load)
    assert filter_loader.get("default") and test_loader.get("defined")
    assert not load.called, "a worker finds them loaded"


@pytest.mark.parametrize(("action", "comes"), [("slow", True), ("quick", False)])
def test_a_library_is_imported_before_the_first_module_that_needs_it(
    action: str, comes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.setattr(shared_work, "LIBRARIES", {"slow": "colorsys"})
    CallbackModule().v2_playbook_on_task_start(Mock(action=action), False)
    assert ("colorsys" in sys.modules) == comes


def test_a_library_that_is_missing_is_left_to_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "LIBRARIES", {"slow": "missing_library"})
    CallbackModule().v2_playbook_on_task_start(Mock(action="slow"), False)
    assert "missing_library" not in sys.modules
