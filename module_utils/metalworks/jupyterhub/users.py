"""The rules for users, which the check of the inventory and the module share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.metalworks.jupyterhub.scrypt import is_hash

LONGEST = 63
# The hub converts names to small letters, the keys of its Secret allow no other characters, and the names
# of pods, which are Kubernetes labels, contain them.
_NAME = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?\Z")


def is_user_name(name: object) -> bool:
    """Return whether the hub, its Secret and Kubernetes can all use a name."""
    return isinstance(name, str) and len(name) <= LONGEST and bool(_NAME.match(name))


def user_name_problem(name: object) -> str | None:
    """Return why something cannot be a user's name, and what to write instead, or None."""
    if is_user_name(name):
        return None
    if not isinstance(name, str):
        return "a name is a text: write it in quotes"
    return (
        "a name is small letters, digits, '.', '_' and '-', with a letter or a digit at the beginning and "
        f"at the end, and {LONGEST} of them at most"
    )


def login_problem(user: Mapping[str, Any]) -> str | None:
    """Return why a user could not log in with what is given, or None; it follows the user's name."""
    password, its_hash = user.get("password"), user.get("password_hash")
    if not password and not its_hash:
        return "has neither password nor password_hash: without one anybody could log in; write one of them"
    if password and its_hash:
        return "has both password and password_hash: keep one of them"
    if its_hash and not is_hash(str(its_hash)):
        return (
            "has a password_hash that the hub cannot verify: write scrypt$n$r$p$salt$hash, with the salt and "
            "a hash of 32 bytes in base64"
        )
    return None
