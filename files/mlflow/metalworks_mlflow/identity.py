"""Who asks: the identity that the door or a client's token vouches for, and what it allows."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

ADMINS = "admins"  # the door's name for the group of the hub's admins


class Unauthenticated(Exception):
    """Nobody vouches for the request; the message says what is missing."""


class Forbidden(Exception):
    """The identity may not do this; the message says why, and who may."""


@dataclass(frozen=True)
class Identity:
    """A user of the hub, or a program (`service:<name>`), with its groups."""

    name: str
    groups: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return ADMINS in self.groups


# The identity of the request that is being answered. Its threads inherit it; other threads have none.
_CURRENT: ContextVar[Identity | None] = ContextVar("metalworks_identity", default=None)


def current() -> Identity:
    """Return the identity of this request; Forbidden in work that belongs to no request."""
    identity = _CURRENT.get()
    if identity is None:
        raise Forbidden("this write belongs to no request, so nobody can be asked whether it is allowed")
    return identity


def remember(identity: Identity) -> None:
    """Make this the identity of the request that is being answered, and of nothing else."""
    _CURRENT.set(identity)


class Vouchers:
    """What the server accepts as proof: the door's secret with its headers, or a token of a known program."""

    def __init__(self, door_secret: str, clients: Mapping[str, Identity]) -> None:
        """Keep the secret; an empty one would let everybody in, so it is refused."""
        if not door_secret:
            raise ValueError("METALWORKS_DOOR_SECRET is empty, so anybody could claim any name")
        self._door = door_secret.encode()
        self._clients = {token.encode(): identity for token, identity in clients.items()}

    def identity(self, headers: Iterable[tuple[bytes, bytes]]) -> Identity:
        """Return who asks. Unauthenticated if a header is missing, doubled or wrong."""
        found = _only_once(headers)
        secret = found.get(b"x-metalworks-door")
        if secret is not None:
            if not hmac.compare_digest(secret, self._door):
                raise Unauthenticated("the door's secret is wrong")
            name = found.get(b"x-metalworks-user", b"").decode("utf-8", "replace").strip()
            if not name:
                raise Unauthenticated("the door named no user")
            groups = found.get(b"x-metalworks-groups", b"").decode("utf-8", "replace").split(",")
            return Identity(name, frozenset(group.strip() for group in groups if group.strip()))
        scheme, _, token = found.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            for known, identity in self._clients.items():
                if hmac.compare_digest(token.strip(), known):
                    return identity
            raise Unauthenticated("the token belongs to no known program")
        raise Unauthenticated("this server is reached through the hub's door, at /services/mlflow")


def _only_once(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers that decide; which of two would count, must not be a matter of chance."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name.startswith(b"x-metalworks-") or name == b"authorization":
            if name in found:
                raise Unauthenticated(f"the header {name.decode()} is there twice")
            found[name] = value
    return found


def read_clients(path: str) -> dict[str, Identity]:
    """Read the programs with a token of their own: {token: {name, groups}} in JSON. No path means none."""
    if not path:
        return {}
    entries = json.loads(Path(path).read_text())
    return {
        token: Identity(f"service:{entry['name']}", frozenset(entry.get("groups", ())))
        for token, entry in entries.items()
    }
