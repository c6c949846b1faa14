"""Rules for the users of the hub: their names and passwords."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.suggestions import did_you_mean
from ..door.pages import ADMINS
from ..jupyterhub.users import login_problem, user_name_problem
from ..jupyterhub.values import other_authenticator
from .platform import REAL, Platform

SHORTEST_PASSWORD = 12
# Passwords in examples of this repository and of other projects.
WELL_KNOWN_PASSWORDS = {"user1", "user2", "admin", "password", "changeme", "jupyter", "jupyterhub"}


def user_names(platform: Platform) -> Iterator[str]:
    """Refuse names that the hub, its Secret or Kubernetes cannot use, and a name that is listed twice."""
    names = [user["name"] for user in _users(platform)]
    for name, count in Counter(names).items():
        if count > 1:
            yield f"jupyterhub_users lists {name!r} {count} times: keep one"
    for name in names:
        if problem := user_name_problem(name):
            yield f"jupyterhub_users, user {name!r}: {problem}"


def logins(platform: Platform) -> Iterator[str]:
    """Refuse a hub into which nobody could log in, and users whom another authenticator would not know."""
    users = platform.values["jupyterhub_users"] if platform.gives("jupyterhub_users") else None
    other = other_authenticator(platform.values["jupyterhub_values"])
    if users == [] and not other:
        yield "jupyterhub_users is empty, so nobody could log in: write at least one user"
    elif users and other:
        yield (
            f"jupyterhub_values sets the authenticator_class {other}, which does not read jupyterhub_users: "
            "take it out, or write jupyterhub_users: []"
        )


def missing_passwords(platform: Platform) -> Iterator[str]:
    """Refuse users who could not log in."""
    for user in _users(platform):
        if problem := login_problem(user):
            yield f"{_where(user)} {problem}"


def weak_passwords(platform: Platform) -> Iterator[str]:
    """Refuse passwords that can be guessed, on real machines."""
    for user in _users(platform) if platform.kind in REAL else ():
        if not login_problem(user) and not user.get("password_hash"):
            yield from _weaknesses(user)


def user_groups(platform: Platform) -> Iterator[str]:
    """Refuse groups with unknown users, or with the name of the hub's admins."""
    groups = platform.values["jupyterhub_groups"]
    names = [user["name"] for user in _users(platform)]
    for group, members in groups.items():
        where = f"jupyterhub_groups, group {group!r}"
        if problem := user_name_problem(group):
            yield f"{where}: {problem}"
        if group == ADMINS:
            yield (
                f"{where}: this is the name of the hub's admins; write admin: true for users in "
                "jupyterhub_users"
            )
        if not isinstance(members, (list, tuple)):
            yield f"{where} is no list: write the names of its users, each behind a dash"
            continue
        for name in members:
            if name not in names:
                yield f"{where}: jupyterhub_users has no {name!r}{did_you_mean(name, names)}"


OPTIONAL = (weak_passwords,)
PART = "jupyterhub"


def _users(platform: Platform) -> list[Mapping[str, Any]]:
    return list(platform.values.get("jupyterhub_users") or [])


def _where(user: Mapping[str, Any]) -> str:
    return f"jupyterhub_users, user {user['name']!r}"


def _weaknesses(user: Mapping[str, Any]) -> Iterator[str]:
    password = str(user["password"])
    if password.lower() in {*WELL_KNOWN_PASSWORDS, user["name"].lower()}:
        yield (
            f"{_where(user)} has a password that everybody knows: that is for the lab; write one of at least "
            f"{SHORTEST_PASSWORD} characters"
        )
    elif len(password) < SHORTEST_PASSWORD:
        yield (
            f"{_where(user)} has a password of {len(password)} characters: write one of at least "
            f"{SHORTEST_PASSWORD}, or a password_hash"
        )
