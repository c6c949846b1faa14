"""Secrets that several parts take from an inventory."""

from __future__ import annotations

import re


def weak_secret(secret: object, least: int) -> str | None:
    """Return why a secret can be guessed, or breaks an address, or None; the sentence follows its name."""
    if re.fullmatch(rf"[0-9A-Za-z]{{{least},}}", str(secret)):
        return None
    return f"is not {least} or more letters and digits: make one with openssl rand -hex 32"
