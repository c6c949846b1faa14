"""scrypt hashes as the hub's authenticator reads them: `scrypt$n$r$p$salt$hash`, salt and hash in base64."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

# OWASP's setting for 16 MiB of memory; a tenth of a second on one core.
COST = {"n": 2**14, "r": 8, "p": 5}


def make_hash(password: str, salt: bytes | None = None) -> str:
    """Hash a password with a fresh salt."""
    salt = salt or os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, dklen=32, **COST)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(["scrypt", str(COST["n"]), str(COST["r"]), str(COST["p"]), *encoded])


def is_hash(text: str) -> bool:
    """Whether the text has the form of a hash that make_hash writes."""
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
    """Whether a stored hash was made of this password with today's cost; another is to be made again."""
    if not is_hash(stored) or stored.split("$")[1:4] != [str(COST[key]) for key in ("n", "r", "p")]:
        return False
    salt = base64.b64decode(stored.split("$")[4])
    return hmac.compare_digest(make_hash(password, salt), stored)
