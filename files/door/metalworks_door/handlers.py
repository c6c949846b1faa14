"""The door's answers: who may not come in is told so, and everything else is passed on."""

from __future__ import annotations

import asyncio
import html
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from yarl import URL

from . import access, headers, metrics
from .access import DoorAuth, HubDoesNotAnswer
from .headers import Client, Visitor
from .settings import Page, Settings

LOG = logging.getLogger(__name__)
# aiohttp would add these of its own.
NOT_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# The close codes of a websocket that no endpoint may send (RFC 6455, section 7.4.1).
UNSENDABLE = (1005, 1006, 1015)
GOING_AWAY, LOGGED_OUT, BACK_END_GONE = 1001, 1008, 1011


@dataclass
class Door:
    """What all handlers share."""

    settings: Settings
    session: aiohttp.ClientSession
    auths: dict[str, DoorAuth]
    # While the process ends, no new requests are to come.
    leaving: bool = False
    running: set[RequestHandler] = field(default_factory=set)


class Refusal(Exception):
    """A request that is not passed on: the status, the reason for the metrics, and a sentence for people."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        """Keep them."""
        super().__init__(sentence)
        self.status, self.reason, self.sentence = status, reason, sentence


class PageHandler(HubOAuthenticated, RequestHandler):
    """A request for a page. Before it is passed on, the visitor is looked up."""

    door: Door
    page: Page
    visitor: Visitor
    started: float

    def initialize(self, door: Door, page: Page) -> None:
        """Take what the handlers share, and the page."""
        self.door, self.page = door, page
        self.hub_auth = door.auths[page.name]
        self.started = time.monotonic()
        self.visitor = Visitor("")

    @property
    def prefix(self) -> str:
        """Return the page's path, which ends in a slash."""
        return self.door.settings.prefix(self.page)

    @property
    def is_websocket(self) -> bool:
        """Return whether the client asks for a websocket."""
        return bool(self.request.headers.get("Upgrade", "").lower() == "websocket")

    def check_xsrf_cookie(self) -> None:
        """Leave it to `admit`: pages of others do not send JupyterHub's token with their requests."""

    async def admit(self) -> bool:
        """Return whether the request may be passed on. If not, it has been answered."""
        try:
            self.visitor = await self._admitted()
        except Refusal as refusal:
            metrics.REFUSED.labels(self.page.name, refusal.reason).inc()
            if refusal.reason == "login" and self._is_visit:
                self.redirect(self.get_login_url())
            else:
                self.tell(refusal.status, refusal.sentence)
            return False
        return True

    @property
    def _is_visit(self) -> bool:
        found = self.request.headers
        return (
            not self.is_websocket
            and "Authorization" not in found
            and headers.wants_page(self.request.method or "", found)
        )

    async def _admitted(self) -> Visitor:
        """Return the visitor; Refusal if there is none, or none who may come in."""
        auth = self.door.auths[self.page.name]
        try:
            model = await access.ask(auth, self)
        except HubDoesNotAnswer:
            raise Refusal(
                503, "hub", "The hub does not answer now, so nobody can be let in. Try again in a moment."
            ) from None
        if model is None:
            raise Refusal(
                401,
                "login",
                f"{self.page.title} needs a login. Programs send a token of the hub, in the header "
                "'Authorization: Bearer TOKEN'; this request has none, or one that is unknown or expired.",
            )
        if not getattr(self, "_token_authenticated", False):
            self._refuse_other_origins()
        if not access.may_open(auth, model):
            raise Refusal(
                403,
                "rights",
                f"{model['name']} may not open {self.page.title}. Whoever looks after this platform can "
                "change that.",
            )
        return access.visitor(model)

    def _refuse_other_origins(self) -> None:
        """Refuse what a page of another origin sends with the visitor's cookie."""
        found = self.request.headers
        if not self.is_websocket and headers.may_cross_origins(self.request.method or "", found):
            return
        if not headers.is_same_origin(found, self.is_websocket):
            raise Refusal(
                403,
                "origin",
                "This request was sent by a page of another address, and is refused for that reason.",
            )

    def tell(self, status: int, sentence: str) -> None:
        """Answer with a sentence: as a page for people, and as text for programs."""
        self.clear()
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        if status == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="JupyterHub"')
        if status == 503:
            self.set_header("Retry-After", "5")
        if headers.wants_page(self.request.method or "", self.request.headers) and not self.is_websocket:
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            self.write(error_page(self.page.title, sentence, f"{self.door.settings.base_url}hub/home"))
        else:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.write(f"{sentence}\n")
        self.finish()

    def outgoing(self) -> list[tuple[str, str]]:
        """Return the headers for the back end."""
        found = self.request.headers
        client = Client(
            address=self.request.remote_ip or "",
            forwarded_for=found.get("X-Forwarded-For", ""),
            proto=first(found.get("X-Forwarded-Proto", "")) or self.request.protocol,
            host=first(found.get("X-Forwarded-Host", "")) or found.get("Host", ""),
        )
        return headers.to_back_end(
            found.get_all(), client, self.visitor, self.prefix.rstrip("/"), self.page.secret
        )

    def target(self) -> URL:
        """Return the address at the back end, with path and query exactly as the client wrote them."""
        uri = self.request.uri or "/"
        path = uri[len(self.prefix) - 1 :] if self.page.strip_prefix else uri
        return URL(self.page.url.rstrip("/") + path, encoded=True)

    def compute_etag(self) -> None:
        """Add no ETag: the back end's is passed on."""


@stream_request_body
class ProxyHandler(PageHandler):
    """A request that is passed on while it arrives, and its answer likewise. Neither is held as a whole."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

    exchange: asyncio.Task[None] | None = None
    # Whether the whole request is here.
    has_arrived = False

    async def prepare(self) -> None:
        """Look the visitor up, and begin to pass the request on as soon as its headers are here."""
        self.request.connection.set_max_body_size(1 << 62)  # it is counted below
        self.received = 0
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        length = self.request.headers.get("Content-Length", "")
        if not await self.admit():
            return
        if length.isdigit() and int(length) > self.door.settings.max_body_bytes:
            self._refuse_the_body()
            return
        self.door.running.add(self)
        metrics.RUNNING.labels(self.page.name).inc()
        self.exchange = asyncio.create_task(self._exchanged(length))
        # If the back end answers before it has read everything, nobody takes the rest out of the queue.
        self.exchange.add_done_callback(lambda _: self._empty_the_queue())

    async def data_received(self, chunk: bytes) -> None:
        """Hand on a piece of the body. The next one is read when the back end has taken this one."""
        if self.exchange is None or self.exchange.done():
            return
        self.received += len(chunk)
        if self.received > self.door.settings.max_body_bytes:
            await self._stop()
            self._refuse_the_body()
            return
        await self.chunks.put(chunk)

    async def passed_on(self, *_: str) -> None:
        """Wait until the answer is given. The whole body has arrived."""
        self.has_arrived = True
        if self.exchange is None:
            return
        if not self.exchange.done():
            await self.chunks.put(None)
        await self.exchange

    get = head = post = put = patch = delete = options = passed_on

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        """Tell the client of an early answer that the connection ends with it.

        Tornado closes a connection whose request it has not read to its end, and does not say so: a client
        would send its next request into the closing connection.
        """
        if not self._headers_written and not self.has_arrived:
            self.set_header("Connection", "close")
        flushed: asyncio.Future[None] = super().flush(include_footers)
        return flushed

    async def _exchanged(self, length: str) -> None:
        """Pass request and answer on, and say what went wrong."""
        page, sentence, status = self.page, "", 0
        try:
            await self._pass_on(length)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            status, sentence = (
                503,
                f"{page.title} does not run now, or does not answer. Try again in a moment.",
            )
        except (aiohttp.ServerTimeoutError, TimeoutError):
            status, sentence = (
                504,
                f"{page.title} has not answered for {self.door.settings.idle_seconds:g} s.",
            )
        except StreamClosedError:
            LOG.info("%s: the client left", page.name)
            await self._cut()
        except (aiohttp.ClientError, ValueError) as error:
            # The error's text has the request's headers, and so the page's secret.
            LOG.warning("%s: the back end failed: %s", page.name, type(error).__name__)
            status, sentence = 502, f"{page.title} broke the connection off. Try again in a moment."
        if not status or self._finished:
            return
        metrics.REFUSED.labels(page.name, "back_end").inc()
        if self._headers_written:
            # The client must not take the part for the whole.
            await self._cut()
        else:
            self.tell(status, sentence)

    async def _pass_on(self, length: str) -> None:
        has_body = length not in ("", "0") or "Transfer-Encoding" in self.request.headers
        async with self.door.session.request(
            self.request.method or "GET",
            self.target(),
            headers=self.outgoing(),
            data=self._body() if has_body else None,
            allow_redirects=False,
            skip_auto_headers=NOT_OURS,
        ) as answer:
            await self._answer_with(answer)

    async def _body(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the body as they arrive."""
        count = metrics.BYTES.labels(self.page.name, "in")
        while True:
            async with asyncio.timeout(self.door.settings.idle_seconds):
                chunk = await self.chunks.get()
            if chunk is None:
                return
            count.inc(len(chunk))
            yield chunk

    async def _answer_with(self, answer: aiohttp.ClientResponse) -> None:
        """Pass the answer on, each piece when the client has taken the one before."""
        for name in ("Server", "Content-Type", "Date"):
            self.clear_header(name)
        self.set_status(answer.status)
        prefix = self.prefix.rstrip("/")
        for name, value in headers.to_client(
            answer.raw_headers, prefix, self.page.netloc, self.page.strip_prefix
        ):
            self.add_header(name, value)
        count = metrics.BYTES.labels(self.page.name, "out")
        if self.request.method != "HEAD":
            await self.flush()
            async for chunk in answer.content.iter_any():
                count.inc(len(chunk))
                self.write(chunk)
                await self.flush()
        self.finish()

    def _refuse_the_body(self) -> None:
        metrics.REFUSED.labels(self.page.name, "size").inc()
        most = self.door.settings.max_body_bytes
        self.tell(413, f"The body is larger than {most} bytes, which is the most that the door lets through.")

    def _empty_the_queue(self) -> None:
        while not self.chunks.empty():
            self.chunks.get_nowait()

    async def _stop(self) -> None:
        """End the exchange with the back end, which then sees that the request is not whole."""
        if self.exchange and not self.exchange.done():
            self.exchange.cancel()
            await asyncio.wait([self.exchange])

    async def _cut(self) -> None:
        """Close the client's connection in the middle of an answer."""
        if not self._finished:
            cast(IOStream, self.detach()).close()
        self.on_finish()

    def on_connection_close(self) -> None:
        """End the exchange of a client who has gone."""
        if self.exchange and not self.exchange.done():
            self.exchange.cancel()
        self.on_finish()

    def on_finish(self) -> None:
        """Count the request, once."""
        if self in self.door.running:
            self.door.running.discard(self)
            metrics.RUNNING.labels(self.page.name).dec()


class SocketHandler(PageHandler, WebSocketHandler):
    """A websocket: one to the client and one to the back end, and messages go both ways."""

    back_end: aiohttp.ClientWebSocketResponse | None = None
    tasks: tuple[asyncio.Task[None], ...] = ()

    async def prepare(self) -> None:
        """Look the visitor up, and connect to the back end before the client's handshake is answered."""
        if not await self.admit():
            return
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        scheme = "wss" if self.page.url.startswith("https") else "ws"
        # Many servers of websockets demand an origin, and their own.
        found = [*self.outgoing(), ("Origin", self.page.url.rstrip("/"))]
        try:
            self.back_end = await self.door.session.ws_connect(
                self.target().with_scheme(scheme),
                headers=found,
                protocols=[word.strip() for word in offered.split(",") if word.strip()],
                max_msg_size=self.settings["websocket_max_message_size"],
                heartbeat=30,
            )
        except aiohttp.WSServerHandshakeError as error:
            metrics.REFUSED.labels(self.page.name, "back_end").inc()
            self.tell(error.status, f"{self.page.title} refused the websocket with {error.status}.")
        except (aiohttp.ClientError, TimeoutError):
            metrics.REFUSED.labels(self.page.name, "back_end").inc()
            self.tell(503, f"{self.page.title} does not run now, or does not answer. Try again in a moment.")

    def check_origin(self, origin: str) -> bool:
        """Accept: `admit` has judged the origin."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Return what the back end chose."""
        return self.back_end.protocol if self.back_end else None

    def open(self, *_: str) -> None:
        """Begin to pass messages on."""
        self.door.running.add(self)
        metrics.SOCKETS.labels(self.page.name).inc()
        token = self.hub_auth.get_token(self)
        self.tasks = (
            asyncio.create_task(self._to_client()),
            asyncio.create_task(self._look_up_again(token)),
        )

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message on. The next one is read afterwards."""
        if self.back_end is None:
            return
        metrics.BYTES.labels(self.page.name, "in").inc(len(message))
        try:
            if isinstance(message, str):
                await self.back_end.send_str(message)
            else:
                await self.back_end.send_bytes(message)
        except (aiohttp.ClientError, ConnectionError):
            self.close(BACK_END_GONE, f"{self.page.title} broke the connection off")

    async def _to_client(self) -> None:
        """Pass on what the back end sends, and its end."""
        back_end = cast(aiohttp.ClientWebSocketResponse, self.back_end)
        count = metrics.BYTES.labels(self.page.name, "out")
        try:
            async for message in back_end:
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    break
                count.inc(len(message.data))
                await self.write_message(message.data, binary=message.type is aiohttp.WSMsgType.BINARY)
        except (WebSocketClosedError, StreamClosedError):
            return
        code = back_end.close_code or BACK_END_GONE
        self.close(BACK_END_GONE if code in UNSENDABLE else code)

    async def _look_up_again(self, token: str) -> None:
        """Close the websocket of a visitor who has logged out or lost the right."""
        while True:
            await asyncio.sleep(self.door.settings.recheck_seconds)
            if not await access.is_still_in(self.door.auths[self.page.name], token):
                self.close(LOGGED_OUT, "logged out")
                return

    def on_close(self) -> None:
        """Close the other side, too."""
        for task in self.tasks:
            task.cancel()
        if self in self.door.running:
            self.door.running.discard(self)
            metrics.SOCKETS.labels(self.page.name).dec()
        if self.back_end is not None:
            code = self.close_code or GOING_AWAY
            closing = self.back_end.close(code=GOING_AWAY if code in UNSENDABLE else code)
            self.closing = asyncio.ensure_future(closing)


class CallbackHandler(HubOAuthCallbackHandler):
    """The end of the login: JupyterHub's own, for one page."""

    def initialize(self, door: Door, page: Page) -> None:
        """Take what the handlers share, and the page."""
        self.hub_auth = door.auths[page.name]

    async def prepare(self) -> None:
        """Look the visitor up here: JupyterHub's handler would block the event loop for it."""
        self.current_user = await self.hub_auth.get_user(self, sync=False)


class SlashHandler(RequestHandler):
    """A page's address without its slash."""

    def prepare(self) -> None:
        """Lead to the page, whatever the method."""
        query = f"?{self.request.query}" if self.request.query else ""
        self.redirect(f"{self.request.path}/{query}", status=308)


class HealthHandler(RequestHandler):
    """What the kubelet asks."""

    def initialize(self, door: Door) -> None:
        """Take what the handlers share."""
        self.door = door

    def get(self) -> None:
        """Say whether requests may come. The hub is not asked: another door would do no better."""
        self.set_status(503 if self.door.leaving else 200)
        self.set_header("Content-Type", "text/plain")
        self.finish("leaving\n" if self.door.leaving else "ok\n")


class UnknownHandler(RequestHandler):
    """Every other address."""

    def prepare(self) -> None:
        """Say so."""
        raise HTTPError(404)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer in one sentence."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("The door has no such page.\n")


def error_page(title: str, sentence: str, home: str) -> str:
    """Return a page with one sentence, and the way to the hub."""
    title, sentence, home = (html.escape(text) for text in (title, sentence, home))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f'<body><h1>{title}</h1><p>{sentence}</p><p><a href="{home}">To the hub</a></p></body></html>\n'
    )


def first(value: str) -> str:
    """Return the first of the values that proxies have strung together."""
    return value.partition(",")[0].strip()


def log_request(handler: RequestHandler) -> None:
    """Write one line for a request, without its query, in which there could be secrets; and count it."""
    request: HTTPServerRequest = handler.request
    page = getattr(handler, "page", None)
    if page is None:
        return
    took = time.monotonic() - handler.started
    status = handler.get_status()
    metrics.REQUESTS.labels(page.name, request.method, str(status)).inc()
    metrics.SECONDS.labels(page.name).observe(took)
    name = handler.visitor.name or "-"
    LOG.info("%s %s %s %s %s %.0f ms", page.name, name, request.method, request.path, status, took * 1000)
