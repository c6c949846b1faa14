"""Run the shop until the process is told to end."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from ..settings import Settings
from .app import Shop, make_app
from .events import EventLog


def main(settings: Settings) -> int:
    """Serve the pages."""
    shop = Shop(settings.server_url, EventLog(Path(settings.events_dir)))
    uvicorn.run(
        make_app(shop),
        host=settings.host,
        port=settings.shop_port,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.grace),
    )
    return 0
