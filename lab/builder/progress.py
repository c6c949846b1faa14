"""Says what a build does and how long it has been at it, one line at a time."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

HEARTBEAT = 10.0


class Progress:
    """Lines of progress, with the time since the start; a sign of life when nothing was said for a while."""

    def __init__(self, quiet: bool = False) -> None:
        """Start the clock."""
        self._start = time.monotonic()
        self._quiet = quiet
        self._since: dict[str, float] = {}
        self._ended = threading.Event()

    def say(self, name: str, what: str) -> None:
        """Print one line; to stderr, so that stdout holds only what was asked for."""
        if not self._quiet:
            print(f"[{time.monotonic() - self._start:4.0f}s] {name}: {what}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[None]:
        """Time one artifact."""
        self._since[name] = time.monotonic()
        try:
            yield
            self.say(name, f"done in {time.monotonic() - self._since[name]:.0f} s")
        finally:
            self._since.pop(name, None)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Show every ten seconds what is still being made."""
        self._ended.clear()
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        try:
            yield
        finally:
            self._ended.set()
            beat.join()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            now = time.monotonic()
            busy = ", ".join(f"{name} ({now - since:.0f} s)" for name, since in self._since.copy().items())
            if busy:
                self.say("still making", busy)
