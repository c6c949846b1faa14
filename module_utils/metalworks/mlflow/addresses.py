"""Where MLflow's server connects to: its database and its store."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

# A Service's full name: NAME.NAMESPACE.svc, with the cluster's domain or without.
SERVICE = re.compile(r"^(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\.|$)")
PORTS = {"http": 80, "https": 443, "postgresql": 5432}


def database_problem(url: Any) -> str | None:
    """Return what is wrong with the address of a database, without a password that stands in it; or None."""
    text = str(url)
    if text.startswith("sqlite:"):
        if re.fullmatch(r"sqlite:////data/([\w.-]+/)*[\w-][\w.-]*", text) and ".." not in text:
            return None
        return "a database in a file lies on the server's volume: write sqlite:////data/mlflow.db"
    scheme = text.partition(":")[0]
    if scheme not in ("postgresql", "postgresql+psycopg2"):
        return (
            f"it begins with {scheme!r}: write sqlite:////data/mlflow.db or "
            "postgresql://user:password@host:5432/name"
        )
    return _postgresql_problem(text)


def _postgresql_problem(url: str) -> str | None:
    example = "write postgresql://user:password@host:5432/name"
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError:
        return f"its port is no number; a password with : / @ or # has them as %3A %2F %40 %23: {example}"
    if not place.hostname:
        return f"it names no host: {example}"
    if port == 0:
        return f"its port is 0: {example}"
    if len(place.path) < 2 or "/" in place.path[1:]:
        return f"it names no database: {example}"
    if not place.username:
        return f"it names no user: {example}"
    if place.fragment or "@" in (place.password or ""):
        return f"its password has # or @, which is written %23 or %40: {example}"
    return None


def service_of(database: str) -> tuple[str, str] | None:
    """Return namespace and name of the Service that a database's address names; None if it names none."""
    found = SERVICE.match(urlsplit(database).hostname or "")
    return (found["namespace"], found["name"]) if found else None


def is_outside(database: str) -> bool:
    """Tell whether a database is PostgreSQL and not named by a Service of the cluster."""
    return not str(database).startswith("sqlite:") and not service_of(str(database))


def egress(*addresses: str) -> list[dict[str, Any]]:
    """Return the ports to which a program connects, each with namespace where the address says one.

    Addresses that are empty, and those that lead to no other program, are none.
    """
    found = []
    for address in addresses:
        place = urlsplit(str(address))
        if place.scheme.partition("+")[0] not in PORTS:
            continue
        service = SERVICE.match(place.hostname or "")
        port = place.port or PORTS[place.scheme.partition("+")[0]]
        found.append({"port": port, **({"namespace": service["namespace"]} if service else {})})
    return found
