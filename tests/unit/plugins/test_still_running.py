"""A task that takes long says so, and no timer is left behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from plugins.callback.still_running import SECONDS, CallbackModule


@pytest.fixture
def callback() -> Iterator[CallbackModule]:
    before = signal.getsignal(signal.SIGALRM)
    made = CallbackModule()
    made.v2_playbook_on_start(None)
    yield made
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_each_task_has_its_own_time(
    callback: CallbackModule, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    callback.v2_playbook_on_task_start(SimpleNamespace(get_name=lambda: "Wait for the node"), False)
    now += 20
    signal.raise_signal(signal.SIGALRM)
    callback.v2_playbook_on_handler_task_start(SimpleNamespace(get_name=lambda: "Restart k3s"))
    now += 10
    signal.raise_signal(signal.SIGALRM)
    assert capfd.readouterr().err.splitlines() == [
        "  ... Wait for the node: running for 20 s",
        "  ... Restart k3s: running for 10 s",
    ]


def test_the_timer_ends_with_the_playbook(callback: CallbackModule) -> None:
    callback.v2_playbook_on_task_start(SimpleNamespace(get_name=lambda: "a task"), False)
    assert signal.getitimer(signal.ITIMER_REAL)[1] == SECONDS
    callback.v2_playbook_on_stats(None)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
