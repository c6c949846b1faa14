"""Which headers go from a client to a back end, and from a back end to a client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# RFC 9110, section 7.6.1: these are about one connection, and no proxy forwards them.
HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
IDENTITY = "x-metalworks-"
# What the client may not tell a back end: credentials of the hub, and what the door itself has judged or
# states. Without Origin and Referer, a back end sees no request of another origin: the door refuses those.
OF_THE_CLIENT = frozenset(
    [
        "authorization",
        "cookie",
        "forwarded",
        "host",
        "origin",
        "referer",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-real-ip",
        "x-scheme",
        "x-xsrftoken",
        "expect",
    ]
)
# Cookies of a back end would be sent to every page at the hub's address. Server names software and version.
OF_THE_BACK_END = frozenset({"set-cookie", "server"})
OF_A_HANDSHAKE = "sec-websocket-"

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Client:
    """How the client reached the door."""

    # The address of whoever connected to the door, and of those before it.
    address: str
    forwarded_for: str
    # The scheme and the host as the client wrote them.
    proto: str
    host: str


@dataclass(frozen=True)
class Visitor:
    """Who sends a request, as the hub says."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that tell a back end who it is."""
        return {"X-Metalworks-User": self.name, "X-Metalworks-Groups": ",".join(self.groups)}


def to_back_end(
    found: Pairs, client: Client, visitor: Visitor, prefix: str, secret: str
) -> list[tuple[str, str]]:
    """Return the headers of a request to a back end.

    `found` are the client's, `prefix` is the page's path without a slash at its end, `secret` the page's.
    """
    found = list(found)
    dropped = HOP_BY_HOP | OF_THE_CLIENT | _named_by_connection(found)
    kept = [
        (name, _as_utf8(value))
        for name, value in found
        # A server that follows CGI cannot tell X_Metalworks_User from X-Metalworks-User.
        if "_" not in name
        and name.lower() not in dropped
        and not name.lower().startswith((IDENTITY, OF_A_HANDSHAKE))
    ]
    stated = {
        "X-Forwarded-For": ", ".join(filter(None, (client.forwarded_for, client.address))),
        "X-Forwarded-Proto": client.proto,
        "X-Forwarded-Host": client.host,
        "X-Forwarded-Prefix": prefix,
        **visitor.headers,
        **({"X-Metalworks-Door": secret} if secret else {}),
    }
    return kept + list(stated.items())


def to_client(
    found: Iterable[tuple[bytes, bytes]], prefix: str, netloc: str, strips: bool
) -> Iterator[tuple[str, str]]:
    """Yield the headers of an answer to a client. Redirects lead to addresses under the page's prefix.

    `netloc` is the back end's host and port; `strips` says whether it gets paths without the prefix.
    """
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in found]
    dropped = HOP_BY_HOP | OF_THE_BACK_END | _named_by_connection(pairs)
    for name, value in pairs:
        if name.lower() in ("location", "content-location"):
            yield name, location(value, prefix, netloc, strips)
        elif name.lower() not in dropped:
            yield name, value


def location(value: str, prefix: str, netloc: str, strips: bool) -> str:
    """Return where a redirect leads, seen from outside."""
    parts = urlsplit(value)
    if parts.netloc and parts.netloc != netloc:
        return value  # another place
    if not parts.netloc and not value.startswith("/"):
        return value  # relative to the present path
    path = parts.path or "/"
    inside = path if not strips or path.startswith(f"{prefix}/") else prefix + path
    # Two slashes at the beginning would name another host.
    return parts._replace(scheme="", netloc="", path="/" + inside.lstrip("/")).geturl()


def is_same_origin(found: Mapping[str, str], websocket: bool) -> bool:
    """Return whether a request that a cookie vouches for was sent by a page of the hub's own address.

    The browser says so (Fetch Metadata), or else names the origin. Browsers name it for every request that
    can change something, and for every websocket; a client without either is no browser.
    """
    if site := found.get("Sec-Fetch-Site"):
        return site in ("same-origin", "none")
    origin = found.get("Origin")
    if not origin:
        return not websocket
    hosts = (found.get("Host", ""), found.get("X-Forwarded-Host", "").partition(",")[0].strip())
    return _plain(urlsplit(origin).netloc) in {_plain(host) for host in hosts if host}


def may_cross_origins(method: str, found: Mapping[str, str]) -> bool:
    """Return whether a request may come from another origin: only a link that somebody follows."""
    return (
        method in ("GET", "HEAD")
        and found.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and found.get("Sec-Fetch-Dest", "document") == "document"
    )


def wants_page(method: str, found: Mapping[str, str]) -> bool:
    """Return whether a person waits for a page, who can be led to the login."""
    if method not in ("GET", "HEAD"):
        return False
    mode = found.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode else "text/html" in found.get("Accept", "")


def _named_by_connection(pairs: Pairs) -> frozenset[str]:
    """Return the headers that the header Connection declares to be about this connection only."""
    values = [value for name, value in pairs if name.lower() == "connection"]
    return frozenset(word.strip().lower() for value in values for word in value.split(","))


def _as_utf8(value: str) -> str:
    """Return a header that tornado read as latin-1 so that aiohttp, which writes UTF-8, sends its bytes."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def _plain(netloc: str) -> str:
    """Return host and port without the ports that browsers leave out."""
    return netloc.lower().removesuffix(":80").removesuffix(":443")
