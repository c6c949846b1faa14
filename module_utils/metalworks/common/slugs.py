"""Names of Kubernetes objects for users whose own names may hold other characters.

The scheme is that of KubeSpawner 7 (kubespawner/slugs.py, safe_slug), which expands `{username}` in the
spawner's templates by it. So a role can make the Secret or the bucket that a template names.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 63
_SAFE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_HASH = 8
_SHORTENED = 32


def safe_slug(name: str) -> str:
    """Return the slug of a name: itself where it is a DNS label, else a shortened form with a hash."""
    if "--" not in name and len(name) <= LONGEST and _SAFE.match(name):
        return name
    hashed = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{_readable(name, _SHORTENED - _HASH - 3)}---{hashed}"


def _readable(name: str, length: int) -> str:
    """Return what can stay of a name: it begins with a letter, and has `-` for all that is not allowed."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-")[:length].rstrip("-")
    if text and not text[0].isalpha():
        text = f"x-{text[: length - 2]}"
    return text or "x"
