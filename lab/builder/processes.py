"""Run the programs of a build: their output is logged, and all are stopped when the build stops."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from .recipe import Runner

# When a build ends, its programs are killed with SIGKILL. They write into a temporary folder that is
# removed, so they need no time to clean up; and debootstrap is process 1 of a namespace, where SIGTERM is
# ignored.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


class Processes:
    """All programs that run for this build."""

    def __init__(self) -> None:
        """Begin without programs."""
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self.stopped = False

    def runner(self, log: Path) -> Runner:
        """Return a function that runs a program and adds its output to a log."""

        def run(
            argv: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
        ) -> None:
            with log.open("ab") as stream:
                command = [*DIES_WITH_US, *map(str, argv)]
                process = self._start(command, stream.fileno(), env, cwd)
                code = process.wait()
                with self._guard:
                    self._running.discard(process)
            if code != 0:
                raise subprocess.CalledProcessError(code, [str(argv[0])])

        return run

    def stop(self) -> None:
        """Kill all running programs, and start no more."""
        with self._guard:
            self.stopped = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _start(
        self, argv: list[str], output: int, env: Mapping[str, str] | None, cwd: Path | None
    ) -> subprocess.Popen[bytes]:
        with self._guard:
            if self.stopped:
                raise RuntimeError("the build was stopped")
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
            self._running.add(process)
            return process
