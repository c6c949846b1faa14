"""What the action plugin of logs_query prints: the module's lines, and each that comes later once."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.metalworks.logging.store import ApiError, Line
from plugins.action import logs_query as plugin


def line(second: int, text: str) -> Line:
    return Line(f"2026-11-26T10:00:{second:02}Z", "people/hub", "", text)


class FakeStore:
    """A store that finds one more list of lines at each look, and is gone after the last."""

    def __init__(self, *answers: list[Line]) -> None:
        self.answers = list(answers)

    def lines(self, search: Any, seconds: int) -> list[Line]:
        assert (seconds, search.limit) == (60, "10000")
        if not self.answers:
            raise ApiError("the store is gone")
        return self.answers.pop(0)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    shown = SimpleNamespace(display=found.append)
    monkeypatch.setattr(plugin, "Display", lambda: shown)
    monkeypatch.setattr(plugin, "EVERY_SECONDS", 0)
    monkeypatch.setattr(plugin, "KubernetesApi", lambda *_: None)
    return found


def action(monkeypatch: pytest.MonkeyPatch, lines: list[Line], **arguments: Any) -> plugin.ActionModule:
    task = SimpleNamespace(args={"namespace": "logging", **arguments}, async_val=0, check_mode=False)
    made = plugin.ActionModule(task, None, None, None, None, None)
    answer = {"query": "*", "changed": False, "lines": [asdict(each) for each in lines]}
    monkeypatch.setattr(made, "_execute_module", lambda **_: dict(answer))
    monkeypatch.setattr(plugin.ActionBase, "run", lambda *_: {})
    return made


def test_lines_are_printed_and_not_returned_as_well(
    monkeypatch: pytest.MonkeyPatch, printed: list[str]
) -> None:
    result = action(monkeypatch, [line(1, "a"), line(2, "\x1b[2Jb")], prints=True).run()
    assert [each.rpartition("  ")[2] for each in printed] == ["a", r"\x1b[2Jb"]
    assert "lines" not in result and result["said"] == "2 lines"


def test_without_prints_lines_are_returned(monkeypatch: pytest.MonkeyPatch, printed: list[str]) -> None:
    result = action(monkeypatch, [line(1, "a")]).run()
    assert result["lines"] == [asdict(line(1, "a"))]
    assert printed == []


def test_what_comes_later_is_printed_once_also_if_it_is_late(
    monkeypatch: pytest.MonkeyPatch, printed: list[str]
) -> None:
    first, second = line(5, "first"), line(6, "second")
    store = FakeStore(
        [line(1, "left out by the limit"), first],
        [line(1, "left out by the limit"), first, second],
        [line(1, "left out by the limit"), line(3, "late"), first, second],
        [first, second, line(7, "last")],
    )
    monkeypatch.setattr(plugin.LogStore, "opened", lambda *_: contextlib.nullcontext(store))
    made = action(monkeypatch, [first], prints=True, search="follow=yes limit=1")
    with pytest.raises(AnsibleActionFail, match="the store is gone"):
        made.run()
    assert [each.rpartition("  ")[2] for each in printed] == ["first", "second", "late", "last"]
