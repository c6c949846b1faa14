"""Run the model server until the process is told to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

from ..models.registry import open_registry
from ..settings import Settings
from .app import App
from .arms import Arms, Keeper
from .http import Limits, Server
from .watching import AccessLog, Metrics

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> bool:
    """Serve until SIGTERM or SIGINT, and return whether every request was answered."""
    loop = asyncio.get_running_loop()
    metrics = Metrics()
    access = AccessLog() if settings.access_log else None
    registry = open_registry(settings.registry_url, settings.registry_token_file)

    def changed(arms: Arms) -> None:
        loop.call_soon_threadsafe(metrics.changed, arms)

    keeper = Keeper(settings, registry, changed)
    app = App(keeper, metrics, access, settings.threads)
    limits = Limits(settings.queue, settings.body_bound, settings.idle_timeout, settings.threads)
    server = Server(app, app.refusal, app.observe, limits)
    app.gauges = lambda: (len(server.waiting), len(server.connections))
    port = await server.listen(settings.host, settings.port)
    log.info("%s is served on port %d", settings.model, port)
    keeping = asyncio.create_task(keeper.keep())
    # What was imported stays for ever: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    log.info("ending: %d connections", len(server.connections))
    finished = await server.drain(settings.linger, settings.grace)
    keeping.cancel()
    if access:
        await access.close()
    return finished


def main(settings: Settings) -> int:
    """Run the event loop; 0 if every request was answered."""
    import uvloop

    return 0 if uvloop.run(serve(settings)) else 1
