"""The door as a process: its addresses, its start and its end."""

from __future__ import annotations

import asyncio
import logging
import signal

import aiohttp
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, PathMatches, Rule
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from . import handlers
from .access import auth_of
from .handlers import GOING_AWAY, Door
from .settings import Page, Settings

LOG = logging.getLogger(__name__)
# How much of a body is read at a time, and of a back end's answer.
PIECE = 256 * 1024
LARGEST_MESSAGE = 10 * 1024**2
# Back ends close connections that are idle: uvicorn after 5 s. The door forgets them earlier, so that no
# request is sent into a closing connection.
KEEP_ALIVE_SECONDS = 2


class Upgrades(Matcher):
    """Matches requests for a websocket below a path."""

    def __init__(self, prefix: str) -> None:
        """Take the path, which ends in a slash."""
        self.prefix = prefix

    def match(self, request: HTTPServerRequest) -> dict[str, object] | None:
        """Return no arguments for a match, and None for anything else."""
        asks = request.headers.get("Upgrade", "").lower() == "websocket"
        return {} if asks and (request.path or "").startswith(self.prefix) else None


class MetricsHandler(RequestHandler):
    """What Prometheus asks."""

    def get(self) -> None:
        """Answer with all metrics of this process."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest())


def new_session(settings: Settings) -> aiohttp.ClientSession:
    """Return the client of the back ends. It follows no redirect and keeps no cookie."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_seconds, sock_read=settings.idle_seconds
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=PIECE,
        max_line_size=65536,
        max_field_size=65536,
    )


def new_door(settings: Settings) -> Door:
    """Return what all handlers share. It needs a running event loop."""
    auths = {page.name: auth_of(page, settings) for page in settings.pages}
    return Door(settings, new_session(settings), auths)


def new_application(door: Door) -> Application:
    """Return the door's addresses."""
    rules = [
        Rule(PathMatches("/healthz"), handlers.HealthHandler, {"door": door}),
        Rule(PathMatches("/metrics"), MetricsHandler),
    ]
    for page in door.settings.pages:
        rules += _rules(door, page)
    return Application(
        rules,
        cookie_secret=door.settings.cookie_secret,
        log_function=handlers.log_request,
        default_handler_class=handlers.UnknownHandler,
        websocket_max_message_size=LARGEST_MESSAGE,
        websocket_ping_interval=30,
    )


def _rules(door: Door, page: Page) -> list[Rule]:
    prefix, shared = door.settings.prefix(page), {"door": door, "page": page}
    return [
        Rule(PathMatches(f"{prefix}oauth_callback"), handlers.CallbackHandler, shared),
        Rule(Upgrades(prefix), handlers.SocketHandler, shared),
        Rule(PathMatches(f"{prefix}(.*)"), handlers.ProxyHandler, shared),
        Rule(PathMatches(prefix.rstrip("/")), handlers.SlashHandler),
    ]


async def serve(settings: Settings, ready: asyncio.Event | None = None) -> None:
    """Run until SIGTERM, then finish what is running."""
    door = new_door(settings)
    server = HTTPServer(
        new_application(door),
        chunk_size=PIECE,
        max_buffer_size=2 * LARGEST_MESSAGE,
        idle_connection_timeout=75,
        max_header_size=65536,
    )
    server.listen(settings.port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    LOG.info("Listening on port %s for %s", settings.port, ", ".join(page.name for page in settings.pages))
    if ready is not None:
        ready.set()
    await stop.wait()
    await _leave(door, server)


async def _leave(door: Door, server: HTTPServer) -> None:
    """Take new requests for a moment, as the cluster learns of the end late; then finish those that run."""
    door.leaving = True
    await asyncio.sleep(door.settings.drain_seconds)
    server.stop()
    for handler in list(door.running):
        if isinstance(handler, WebSocketHandler):
            handler.close(GOING_AWAY, "the door restarts")
    loop = asyncio.get_running_loop()
    end = loop.time() + door.settings.finish_seconds
    while door.running and loop.time() < end:
        await asyncio.sleep(0.1)
    if door.running:
        LOG.warning("%s requests are broken off", len(door.running))
    await server.close_all_connections()
    await door.session.close()
