"""Check password hashes and slow down guessing. Nothing here needs JupyterHub.

A stored hash reads `scrypt$n$r$p$salt$hash` (salt and hash in base64). The module
jupyterhub_credentials writes it.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass

# Without this bound, a stored hash could make the hub allocate any amount of memory at each login.
MAX_MEMORY = 128 * 1024 * 1024
# The password of an unknown name is compared with this hash, so that the time of the answer does not tell
# whether a name exists.
NOBODY = "scrypt$16384$8$5$bm9ib2R5LW5vYm9keS0wMA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


class BadHash(ValueError):
    """A stored hash cannot be read; the message says why, without repeating it."""


@dataclass(frozen=True)
class Hash:
    """The parts of one stored hash."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


def parse_hash(text: str) -> Hash:
    """Return the parts of a stored hash, or raise BadHash."""
    parts = text.strip().split("$")
    if len(parts) != 6 or parts[0] != "scrypt":
        raise BadHash("a stored hash must read scrypt$n$r$p$salt$hash")
    try:
        n, r, p = (int(part) for part in parts[1:4])
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
    except (ValueError, binascii.Error) as error:
        raise BadHash("a stored hash has a part that is not a number or not base64") from error
    if len(digest) < 16 or 128 * n * r > MAX_MEMORY:
        raise BadHash("a stored hash is too short, or asks for too much memory")
    return Hash(n, r, p, salt, digest)


def verify_password(password: str, stored: str) -> bool:
    """Return whether the stored hash was made of this password; raise BadHash if it cannot be read."""
    wanted = parse_hash(stored)
    found = hashlib.scrypt(
        password.encode(),
        salt=wanted.salt,
        n=wanted.n,
        r=wanted.r,
        p=wanted.p,
        dklen=len(wanted.digest),
        maxmem=2 * MAX_MEMORY,
    )
    return hmac.compare_digest(found, wanted.digest)


class AttemptLimit:
    """After some wrong passwords in a row, each further one makes a name wait twice as long."""

    def __init__(self, free: int = 5, longest_wait: float = 60.0, names: int = 4096) -> None:
        """Set the limits.

        A name may fail `free` times before it has to wait, at most `longest_wait` seconds. Of the names that
        failed, the latest `names` are remembered.
        """
        self.free = free
        self.longest_wait = longest_wait
        self.names = names
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Return for how many seconds this name must wait.

        `now` is a time in seconds of a monotonic clock.
        """
        count, last = self._failures.get(name, (0, now))
        if count < self.free:
            return 0.0
        pause = min(self.longest_wait, 2.0 ** (count - self.free + 1))
        return max(0.0, last + pause - now)

    def failed(self, name: str, now: float) -> None:
        """Count a wrong password.

        The names that failed longest ago are forgotten, which bounds the memory.
        """
        count, _ = self._failures.pop(name, (0, now))
        self._failures[name] = (count + 1, now)
        while len(self._failures) > self.names:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        self._failures.pop(name, None)
