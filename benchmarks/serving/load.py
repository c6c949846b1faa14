#!/usr/bin/env python3
"""Send requests at a fixed rate, whatever the answers, and say how long each took from when it was due.

The rate does not wait for the server (an open loop): a request that finds no free connection waits, and its
wait counts. So a server that stalls cannot hide it. One line of JSON is the result.
    benchmarks/serving/load.py PORT PATH BODIES RATE SECONDS [CONNECTIONS]
BODIES is a file with the body of one request in each line; they are sent in turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import cast

import uvloop


class Client(asyncio.Protocol):
    """One connection: one request at a time, and the little of HTTP that finds the end of an answer."""

    def __init__(self, load: Load) -> None:
        """Belong to a load."""
        self.load, self.data, self.due, self.first = load, b"", 0.0, True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be free."""
        self.transport = cast(asyncio.Transport, transport)
        self.load.free.append(self)
        self.load.send()

    def request(self, due: float, content: bytes) -> None:
        """Send a request."""
        self.due = due
        self.transport.write(content)

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is complete."""
        self.data += data
        head = self.data.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self.data[:head].lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            end = lower.find(b"\r\n", at)
            length = int(lower[at + 15 : end if end >= 0 else head])
            if len(self.data) < head + 4 + length:
                return
        elif not self.data.endswith(b"0\r\n\r\n"):
            return
        status = int(self.data[9:12])
        self.data = b""
        self.load.answered(self.due, status)
        if b"connection: close" in lower:
            self.transport.close()
        else:
            self.due = 0.0
            self.load.free.append(self)
            self.load.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Open another one; a request without an answer is a failure."""
        if self in self.load.free:
            self.load.free.remove(self)
        elif self.due:
            self.load.answered(self.due, 0)
        if not self.load.ended:
            self.load.connect()


class Load:
    """The schedule and the results."""

    def __init__(self, port: int, path: str, bodies: list[bytes], rate: float, seconds: float) -> None:
        """Make the requests."""
        head = "POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
        self.requests = [head.format(path, len(each)).encode() + each for each in bodies]
        self.port, self.rate, self.total = port, rate, int(rate * seconds)
        self.free: deque[Client] = deque()
        self.late: deque[float] = deque()
        self.results: list[tuple[float, int]] = []
        self.sent, self.lag, self.ended = 0, 0.0, False
        self.tasks: set[asyncio.Task[object]] = set()

    def connect(self) -> None:
        """Open a connection in the background."""
        task = asyncio.get_running_loop().create_task(self._connect())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self) -> None:
        for _ in range(50):
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: Client(self), "127.0.0.1", self.port
                )
                return
            except OSError:
                await asyncio.sleep(0.1)

    def answered(self, due: float, status: int) -> None:
        """Note an answer; 0 is a connection that broke."""
        self.results.append((time.perf_counter() - due, status))

    def send(self) -> None:
        """Send what is due, as far as connections are free."""
        while self.late and self.free:
            due = self.late.popleft()
            self.free.pop().request(due, self.requests[self.sent % len(self.requests)])
            self.sent += 1

    async def run(self, connections: int) -> dict[str, float]:
        """Send all, wait for at most 2 more seconds, and return the figures."""
        for _ in range(connections):
            self.connect()
        while len(self.free) < connections:
            await asyncio.sleep(0.01)
        begin = time.perf_counter()
        planned = 0
        while planned < self.total:
            now = time.perf_counter()
            while planned < self.total and (due := begin + planned / self.rate) <= now:
                self.lag = max(self.lag, now - due)
                self.late.append(due)
                planned += 1
            self.send()
            # The loop's timers count in milliseconds, which is as long as a quick server takes. The sender
            # has a core of its own, and looks all the time.
            await asyncio.sleep(0)
        end = time.perf_counter() + 2
        while len(self.results) < self.total and time.perf_counter() < end:
            await asyncio.sleep(0.01)
        self.ended = True
        return self.figures()

    def figures(self) -> dict[str, float]:
        """Return counts, and quantiles of the seconds of good answers."""
        good = sorted(seconds for seconds, status in self.results if status == 200) or [float("inf")]
        quick = sum(seconds <= 0.1 and status in (200, 429) for seconds, status in self.results)
        return {
            "planned": self.total,
            "ok": sum(status == 200 for _, status in self.results),
            "refused": sum(status == 429 for _, status in self.results),
            "failed": sum(status not in (200, 429) for _, status in self.results),
            "unanswered": self.total - len(self.results),
            "within 100 ms": quick / self.total,
            "p50": good[len(good) // 2],
            "p99": good[int(len(good) * 0.99)],
            "largest lag of the sender": self.lag,
        }


async def main() -> None:
    """Read the command line, run, print."""
    port, path, bodies, rate, seconds, *rest = sys.argv[1:]
    lines = Path(bodies).read_bytes().splitlines()
    load = Load(int(port), path, lines, float(rate), float(seconds))
    print(json.dumps(await load.run(int(rest[0]) if rest else 16)))


if __name__ == "__main__":
    uvloop.run(main())
