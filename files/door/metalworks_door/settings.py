"""What the door is told: the hub, the pages, and its limits. The role `door` writes them as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class SettingsError(ValueError):
    """The settings cannot be used. The message says where and why, and shows no secret."""


@dataclass(frozen=True)
class Page:
    """One page, which is one service of the hub."""

    name: str
    # What people read.
    title: str
    # Where the back end is, such as http://mlflow.mlflow.svc:5000, without a path.
    url: str
    # The token of the hub's service. It is the page's secret in OAuth, too.
    token: str
    # Whether the back end gets paths without /services/<name>. One that knows its prefix gets them whole.
    strip_prefix: bool = True
    # What proves to the back end that a request came through the door; empty if it asks for nothing.
    secret: str = ""

    @property
    def netloc(self) -> str:
        """Return the host and port of the back end."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True)
class Settings:
    """All settings. Times are in seconds."""

    # The hub's REST API as the door reaches it.
    hub_api_url: str
    # The key that signs the door's cookies.
    cookie_secret: str
    pages: tuple[Page, ...]
    # The path under which the hub is reached.
    base_url: str = "/"
    port: int = 8080
    max_body_bytes: int = 20 * 1024**3
    # How long connecting to a back end may take.
    connect_seconds: float = 5
    # How long a back end, or a client in the middle of a body, may send nothing.
    idle_seconds: float = 300
    # How long an answer of the hub counts. For another session of a browser, the hub is asked at once.
    cache_seconds: int = 5
    # How often the visitor behind an open websocket is looked up again.
    recheck_seconds: float = 30
    # After SIGTERM: how long new requests are still taken, and how long the running ones may last.
    drain_seconds: float = 5
    finish_seconds: float = 60

    def prefix(self, page: Page) -> str:
        """Return the path of a page at the hub's address; it ends in a slash."""
        return f"{self.base_url}services/{page.name}/"


def read_settings(path: Path) -> Settings:
    """Return the settings of a JSON file; SettingsError if it cannot be used."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}") from None
    return parse_settings(found)


def parse_settings(found: Mapping[str, Any]) -> Settings:
    """Return the settings of a dictionary; SettingsError if something is missing or unknown."""
    pages = found.get("pages")
    if not isinstance(pages, list):
        raise SettingsError("pages is no list")
    values = {**found, "pages": tuple(_made(Page, page, f"page {n}") for n, page in enumerate(pages, 1))}
    settings: Settings = _made(Settings, values, "the settings")
    if not (settings.base_url.startswith("/") and settings.base_url.endswith("/")):
        raise SettingsError("base_url does not start and end with a slash")
    for page in settings.pages:
        parts = urlsplit(page.url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
            raise SettingsError(f"page {page.name}: url is not like http://host:port")
    return settings


def _made(kind: type[Any], values: Any, where: str) -> Any:
    """Return a dataclass of these values; SettingsError if a key is unknown or missing."""
    known = {field.name for field in fields(kind)}
    if not isinstance(values, Mapping) or not values.keys() <= known:
        unknown = sorted(set(values) - known) if isinstance(values, Mapping) else "no dictionary"
        raise SettingsError(f"{where}: unknown keys {unknown}")
    try:
        return kind(**values)
    except TypeError:
        raise SettingsError(f"{where}: a key is missing; known are {', '.join(sorted(known))}") from None
