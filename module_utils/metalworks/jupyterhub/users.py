"""The rule for users' names, which the check of the inventory, the role and the module share."""

from __future__ import annotations

import re

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
