"""Password hashes for the hub's authenticator: `scrypt$n$r$p$salt$hash`, salt and hash in base64."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

# The parameters that OWASP recommends for 16 MiB of memory. One hash takes a tenth of a second on one core.
COST = {"n": 2**14, "r": 8, "p": 5}


def make_hash(password: str, salt: bytes | None = None) -> str:
    """Return the hash of a password with a new salt."""
    salt = salt or os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, dklen=32, **COST)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(["scrypt", str(COST["n"]), str(COST["r"]), str(COST["p"]), *encoded])


def is_hash(text: str) -> bool:
    """Return whether a text has the form of a hash."""
    parts = text.split("$")
    if len(parts) != 6 or parts[0] != "scrypt" or not all(part.isdigit() for part in parts[1:4]):
        return False
    try:
        return len(base64.b64decode(parts[5], validate=True)) == 32 and bool(
            base64.b64decode(parts[4], validate=True)
        )
    except ValueError:
        return False


def verifies(password: str, stored: str) -> bool:
    """Return whether a stored hash was made of this password with the present parameters."""
    if not is_hash(stored) or stored.split("$")[1:4] != [str(COST[key]) for key in ("n", "r", "p")]:
        return False
    salt = base64.b64decode(stored.split("$")[4])
    return hmac.compare_digest(make_hash(password, salt), stored)
