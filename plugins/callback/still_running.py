"""Show every ten seconds which task is still running, so that a long one is not taken for a dead one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: still_running
type: aggregate
short_description: Shows every ten seconds which task is still running
description: Writes a line to standard error when a task has been running for ten, twenty, ... seconds.
author: Metalworks
requirements: [enabled in ansible.cfg]
"""

import os
import signal
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

SECONDS = 10


class CallbackModule(CallbackBase):
    """Use a timer and no thread: Ansible forks its workers, in which a lock of a thread would stay locked."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "still_running"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Install the handler of the timer's signal. Workers inherit the handler, but not the timer."""
        signal.signal(signal.SIGALRM, self.show)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Start the clock of a task."""
        self.name, self.since = task.get_name(), time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Start the clock of a handler."""
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Stop the clock."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def show(self, *_: object) -> None:
        """Write the line with one system call: Python's streams may be locked when a signal arrives."""
        seconds = round(time.monotonic() - self.since)
        os.write(2, f"  ... {self.name}: running for {seconds} s\n".encode())
