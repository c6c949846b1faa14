"""An HTTP/1.1 server for short answers: httptools parses, uvloop moves bytes, a bounded queue keeps order.

Why not a server of others: under overload, one that makes a task for each request spends as much on a refusal
as on an answer, so it cannot refuse as fast as requests come. Here a request is a few bytes in a queue until
its turn, and a refusal is one write. benchmarks/serving has the comparison.

A connection has one request in the queue at a time; those that a client sends ahead wait with the connection,
so answers are in order.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import cast

import httptools

HEADERS_BOUND = 32 * 1024
# How long a client may take to send one request, in seconds.
READ_TIMEOUT = 15.0
# At the end, how long a connection that sent nothing yet may take for its first request, in seconds.
FIRST_REQUEST = 1.0
# How many answers are computed before the sockets are looked at again. Under overload each look costs a
# refusal for every client that waits, so few answers a turn would let the queue wait long; more would let
# refusals wait.
TURN = 16
# These are answered past the queue: a server that is overloaded, or whose model is slow, is neither dead nor
# out of sight.
AT_ONCE = (b"/v2/health/", b"/metrics")
# A target may be a whole address (RFC 9112, 3.2.2).
ORIGIN = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
ID = re.compile(rb"[\x21-\x7e]{1,128}")
REASONS = {int(each): each.phrase.encode() for each in HTTPStatus}
JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"


@dataclass(slots=True)
class Request:
    """A request that was read as a whole. Names of headers are in lower case."""

    method: bytes = b""
    target: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True
    began: float = 0.0
    """When it was complete, by perf_counter: the time of the event loop has steps of a millisecond."""
    taken: float = 0.0
    """When its turn in the queue came; 0 where it never stood there."""
    chosen: str = ""
    """The version that was chosen to answer, so that an error counts as its own."""
    id: bytes = b""

    @property
    def path(self) -> bytes:
        """The target without the query."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """What follows the question mark."""
        return self.target.partition(b"?")[2]


@dataclass(slots=True)
class Response:
    """An answer. The last fields are for the access log and metrics only."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    model: str = ""
    version: str = ""
    route: str = ""


Handler = Callable[[Request], "Response | asyncio.Future[Response]"]
# What is told about each answer: the request, the answer, and the seconds from its last byte to the answer.
Observer = Callable[[Request, Response, float], None]
Refusal = Callable[[Request, int, str], Response]


@dataclass
class Limits:
    """Bounds of a server: waiting requests, bytes of a body, seconds."""

    queue: int = 32
    body: int = 1 << 20
    idle: float = 75.0
    threads: int = 1
    """How many slow answers are computed at a time."""


class Server:
    """Connections, the queue before the handler, and the end."""

    def __init__(self, handler: Handler, refusal: Refusal, observer: Observer, limits: Limits) -> None:
        """Take what answers, what words a refusal (status and reason), and what is told about each answer."""
        self.handler, self.refusal, self.observer, self.limits = handler, refusal, observer, limits
        self.loop = asyncio.get_running_loop()
        self.waiting: deque[tuple[Connection, Request]] = deque()
        self.connections: set[Connection] = set()
        self.busy = 0
        self.scheduled = False
        self.draining = False
        self.socket: socket.socket | None = None
        self.listener: asyncio.Server | None = None
        self._ids = itertools.count()
        self._prefix = os.urandom(6).hex()

    async def listen(self, host: str, port: int) -> int:
        """Take connections, and return the port (of interest where it was 0)."""
        self.socket = open_socket(host, port)
        self.listener = await self.loop.create_server(lambda: Connection(self), sock=self.socket)
        self.loop.call_later(1, self._sweep)
        found: int = self.socket.getsockname()[1]
        return found

    def submit(self, connection: Connection, request: Request) -> None:
        """Take a request into the queue. Probes, and what finds the queue full, are answered at once."""
        request.began = perf_counter()
        given = request.headers.get(b"x-request-id", b"")
        request.id = given if ID.fullmatch(given) else b"%s-%x" % (self._prefix.encode(), next(self._ids))
        if request.path.startswith(AT_ONCE):
            self.answer(connection, request, cast(Response, self.handler(request)))
        elif len(self.waiting) >= self.limits.queue:
            self.answer(connection, request, self.refusal(request, 429, "the queue is full: try again later"))
        else:
            self.waiting.append((connection, request))
            self._schedule()

    def _schedule(self) -> None:
        if not self.scheduled and self.waiting and self.busy < self.limits.threads:
            self.scheduled = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.scheduled = False
        for _ in range(TURN):
            if not self.waiting or self.busy >= self.limits.threads:
                break
            connection, request = self.waiting.popleft()
            # Nobody waits for this answer any more.
            if connection.transport.is_closing():
                continue
            request.taken = perf_counter()
            found = self.handler(request)
            if isinstance(found, Response):
                self.answer(connection, request, found)
            else:
                self.busy += 1
                found.add_done_callback(partial(self._done, connection, request))
        self._schedule()

    def _done(self, connection: Connection, request: Request, done: asyncio.Future[Response]) -> None:
        self.busy -= 1
        try:
            self.answer(connection, request, done.result())
        finally:
            self._schedule()

    def answer(self, connection: Connection, request: Request, response: Response) -> None:
        """Send an answer, and tell the observer."""
        self.observer(request, response, perf_counter() - request.began)
        connection.send(request, response)

    def _sweep(self) -> None:
        now = self.loop.time()
        for each in list(self.connections):
            each.expire(now, self.limits.idle)
        self.loop.call_later(1, self._sweep)

    async def drain(self, linger: float, grace: float) -> bool:
        """End without losing a request, and return whether all were answered.

        For `linger` seconds everything is answered, with `Connection: close`: clients of other machines learn
        later that this one ends. Then no connection is taken any more, idle ones are closed, and the requests
        that are there have `grace` seconds.
        """
        self.draining = True
        await asyncio.sleep(linger)
        if self.listener and self.socket:
            # Connections that the kernel took and this process did not would be reset with the listener. So
            # the kernel takes hardly any more first, and those that wait are taken in the next turns.
            self.socket.listen(0)
            for _ in range(5):
                await asyncio.sleep(0.02)
            self.listener.close()
        end = self.loop.time() + grace
        while True:
            for each in list(self.connections):
                each.close_if_idle()
            if not self.connections or self.loop.time() >= end:
                break
            await asyncio.sleep(0.01)
        finished = not self.connections
        for each in list(self.connections):
            each.transport.abort()
        return finished


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on an address; empty is every one of this machine, of both families where it has both."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=4096, dualstack_ipv6=both)


class Connection(asyncio.Protocol):
    """One connection: bytes come in, requests go to the server's queue, answers go out."""

    __slots__ = ("ahead", "asked", "chunks", "failed", "header_bytes", "last", "parser", "reading", "request",
                 "server", "size", "transport", "working")  # fmt: skip
    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        """Belong to a server."""
        self.server = server
        self.parser = httptools.HttpRequestParser(self)
        self.ahead: deque[Request] = deque()
        self.working = self.asked = False
        self.reading = 0.0  # when the request that is being read began; 0 between requests
        self.failed: tuple[int, str] | None = None
        self.last = server.loop.time()
        self._fresh()

    def _fresh(self) -> None:
        self.request = Request()
        self.chunks: list[bytes] = []
        self.size = self.header_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no common base class
        self.server.connections.add(self)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; an answer that is under way goes nowhere."""
        self.server.connections.discard(self)
        self.ahead.clear()

    def data_received(self, data: bytes) -> None:
        """Parse. What is not HTTP is answered with 400 and the end of the connection."""
        if self.failed:
            return
        self.asked = True
        self.last = self.server.loop.time()
        rest: memoryview | None = memoryview(data)
        while rest:
            rest = self._parse(rest)

    def _parse(self, data: memoryview) -> memoryview | None:
        """Parse, and return the rest if a client offers another protocol."""
        if not self.reading:
            self.reading = self.last
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            # A server may ignore the offer of another protocol (RFC 9110, 7.8); Java's client always makes
            # one.
            self.parser = httptools.HttpRequestParser(self)
            return data[offer.args[0] :]
        except httptools.HttpParserCallbackError:
            if not self.failed:
                raise
            self._refuse_rest()
        except httptools.HttpParserError as problem:
            self.fail(400, f"this is not HTTP/1.1: {problem}")
        return None

    # Callbacks of the parser.

    def on_url(self, part: bytes) -> None:
        """Take a part of the target."""
        self._count(len(part))
        self.request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        self.request.headers[name.lower()] = value

    def _count(self, size: int) -> None:
        self.header_bytes += size
        if self.header_bytes > HEADERS_BOUND:
            self._stop(431, f"the headers are larger than {HEADERS_BOUND} bytes")

    def _stop(self, status: int, reason: str) -> None:
        """End the parsing inside of a callback."""
        self.failed = status, reason
        raise ValueError(reason)

    def on_headers_complete(self) -> None:
        """Look at the headers before the body comes."""
        headers, bound = self.request.headers, self.server.limits.body
        self.request.method = self.parser.get_method()
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > bound:
            self._stop(413, f"the body has {int(length)} bytes, and the bound is {bound}")
        if headers.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self.size += len(part)
        if self.size > self.server.limits.body:
            self._stop(413, f"the body is larger than the bound of {self.server.limits.body} bytes")
        self.chunks.append(part)

    def on_message_complete(self) -> None:
        """Hand a request over, or keep it until the one before is answered."""
        request = self.request
        request.body = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        request.keep_alive = self.parser.should_keep_alive()
        if not request.target.startswith(b"/"):
            request.target = ORIGIN.sub(b"", request.target, 1)
        self.reading = 0.0
        self._fresh()
        if self.working or self.ahead:
            self.ahead.append(request)
            # A client that sends ahead without end waits in the kernel, and not in memory.
            self.transport.pause_reading()
            return
        self.working = True
        self.server.submit(self, request)

    def fail(self, status: int, reason: str) -> None:
        """Refuse what cannot be read, and close."""
        self.failed = status, reason
        self._refuse_rest()

    def _refuse_rest(self) -> None:
        """Send the refusal when all requests before it are answered."""
        if self.failed and not self.working and not self.ahead:
            request = Request(self.request.method, self.request.target, keep_alive=False)
            request.began, request.id = perf_counter(), b"-"
            status, reason = self.failed
            self.server.answer(self, request, self.server.refusal(request, status, reason))

    def send(self, request: Request, response: Response) -> None:
        """Write an answer, and go on with what the client sent ahead."""
        transport = self.transport
        if transport.is_closing():
            return
        keep = request.keep_alive and not self.server.draining
        reason = REASONS.get(response.status, b"")
        head = b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n" % (
            response.status,
            reason,
            response.content_type,
            len(response.body),
            request.id,
        )
        for name, value in response.headers:
            head += b"%s: %s\r\n" % (name, value)
        if not keep:
            head += b"Connection: close\r\n"
        transport.write(head + b"\r\n" + (b"" if request.method == b"HEAD" else response.body))
        self.last = self.server.loop.time()
        self.working = False
        if not keep:
            transport.close()
            return
        if self.ahead:
            # In a turn of its own: a client that sends ahead much that is refused would be a deep recursion.
            self.working = True
            self.server.loop.call_soon(self._next)
        elif self.failed:
            self._refuse_rest()
        elif not transport.is_reading():
            transport.resume_reading()

    def _next(self) -> None:
        if self.ahead:
            self.server.submit(self, self.ahead.popleft())

    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if not self.ahead:
            self.transport.resume_reading()

    def expire(self, now: float, idle: float) -> None:
        """End a connection that is idle, or that sends its request too slowly."""
        if self.working:
            return
        if self.reading and now - self.reading > READ_TIMEOUT:
            self.fail(408, f"the request was not complete after {READ_TIMEOUT:g} seconds")
        elif not self.reading and now - self.last > idle:
            self.transport.close()

    def close_if_idle(self) -> None:
        """Close where nothing is being read or answered, nor will be in a moment."""
        if not self.asked and self.server.loop.time() - self.last < FIRST_REQUEST:
            return
        if not self.working and not self.reading and not self.transport.is_closing():
            self.transport.close()
