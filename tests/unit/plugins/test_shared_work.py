"""A long playbook parses what every module imports once, and sends the same modules as before."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible._internal._ansiballz._builder import ExtensionManager
from ansible.executor import module_common
from ansible.plugins.loader import filter_loader, module_loader, test_loader
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
    monkeypatch.setattr(module_common, "_add_module_to_zip", module_common._add_module_to_zip)
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


def archive_of(module: str) -> zipfile.ZipFile:
    """What Ansible sends of one of its modules."""
    path, now = module_loader.find_plugin(f"ansible.builtin.{module}"), datetime.now(UTC)
    name, source = f"ansible.modules.{module}", Path(path).read_bytes()
    archive = zipfile.ZipFile(io.BytesIO(), "w")
    module_common.recursive_finder(module, name, source, archive, now, ExtensionManager())
    module_common._add_module_to_zip(archive, now, name, source, path, ExtensionManager())
    return archive


@pytest.mark.parametrize(
    ("magic", "suffix"), [(MAGIC_NUMBER, ".pyc"), (b"\x01\x02\r\n", ".py")], ids=["same", "other"]
)
def test_a_machine_of_the_same_python_compiles_little_and_another_one_all(
    magic: bytes, suffix: str, parsed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_work, "MAGIC_NUMBER", magic)
    begin_tasks(LONG_ENOUGH)
    with archive_of("command") as sent, zipfile.ZipFile(tmp_path / "sent.zip", "w") as kept:
        for name in sent.namelist():
            kept.writestr(name, sent.read(name))
    asks = "from ansible.module_utils import basic; print(basic.__file__)"
    asked = [sys.executable, "-S", "-c", asks]
    only = {"PYTHONPATH": str(tmp_path / "sent.zip")}
    said = subprocess.run(asked, env=only, check=True, capture_output=True, text=True).stdout
    assert said.strip().endswith(f"basic{suffix}")


def test_what_differs_from_what_was_compiled_is_sent_as_it_is(parsed: list[str]) -> None:
    shared_work.compile_once({"ansible/module_utils/basic.py": b"raise ValueError"})
    with archive_of("command") as sent:
        assert not [name for name in sent.namelist() if name.endswith(".pyc")]


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
