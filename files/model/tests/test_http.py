"""The HTTP server by itself: what does not wait in its queue, and clients that send much at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from metalworks_model.serve.http import Limits, Request, Response, Server

PREDICT = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
PATHS = (b"/v2/health/live", b"/v2/health/ready", b"/metrics")
PROBES = [b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in PATHS]
Raw = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Slow:
    """A server whose answers to /predict wait until the test lets them go."""

    def __init__(self, queue: int) -> None:
        """Bound the queue."""
        self.released = threading.Event()
        self.server = Server(self.handle, self.refuse, lambda *said: None, Limits(queue=queue))

    def handle(self, request: Request) -> Response | asyncio.Future[Response]:
        """Answer."""
        if request.path != b"/predict":
            return Response(200)
        return asyncio.get_running_loop().run_in_executor(None, self.predict)

    def predict(self) -> Response:
        """Take long."""
        self.released.wait(30)
        return Response(200)

    def refuse(self, request: Request, status: int, reason: str) -> Response:
        """Refuse."""
        return Response(status)

    async def busy(self, waiting: int) -> None:
        """Wait until one answer is computed, and others wait."""
        while self.server.busy < 1 or len(self.server.waiting) < waiting:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(queue: int) -> AsyncIterator[tuple[Slow, Callable[[bytes], Awaitable[Raw]]]]:
    """Run a server, and give what sends bytes to it on a connection of their own."""
    slow = Slow(queue)
    port = await slow.server.listen("127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []

    async def send(content: bytes) -> Raw:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(content)
        return reader, writer

    try:
        yield slow, send
    finally:
        slow.released.set()
        for each in writers:
            each.close()
            await each.wait_closed()
        await slow.server.drain(0, 5)


async def status(connection: Raw) -> int:
    """Return the status of the next answer (which has no body)."""
    head = await asyncio.wait_for(connection[0].readuntil(b"\r\n\r\n"), 10)
    return int(head.split()[1])


@pytest.mark.parametrize("probe", PROBES, ids=[each.decode() for each in PATHS])
def test_probes_and_metrics_wait_neither_for_a_slow_model_nor_in_a_full_queue(probe: bytes) -> None:
    async def check() -> None:
        async with running(queue=2) as (slow, send):
            predictions = [await send(PREDICT)]
            await slow.busy(0)
            assert await status(await send(probe)) == 200
            predictions += [await send(PREDICT) for _ in range(2)]
            await slow.busy(2)
            assert await status(await send(PREDICT)) == 429
            assert await status(await send(probe)) == 200
            slow.released.set()
            assert [await status(each) for each in predictions] == [200] * 3

    uvloop.run(check())


def test_a_client_that_sends_much_ahead_does_not_keep_others_from_their_answers() -> None:
    async def check() -> None:
        async with running(queue=2) as (slow, send):
            greedy = await send(PREDICT + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3000)
            await slow.busy(0)
            others = [await send(PREDICT) for _ in range(2)]
            await slow.busy(2)
            slow.released.set()
            assert [await status(each) for each in others] == [200, 200]
            found = [await status(greedy) for _ in range(3001)]
            assert (found[0], set(found)) == (200, {200, 429})
            assert await status(await send(PREDICT)) == 200

    uvloop.run(check())


def test_a_client_may_offer_another_protocol_again_and_again() -> None:
    offer = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    async def check() -> None:
        async with running(queue=2) as (_, send):
            client = await send(offer * 3000)
            assert {await status(client) for _ in range(3000)} == {200}

    uvloop.run(check())
