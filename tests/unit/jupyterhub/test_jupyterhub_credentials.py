"""Who is added, updated, removed; what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.jupyterhub.scrypt import make_hash, verifies
from in_process import cases
from library.jupyterhub.jupyterhub_credentials import plan, problems

HASHES = {password: make_hash(password) for password in ("one", "two")}


def stored(table: dict[str, str]) -> dict[str, str]:
    """Users and passwords of a case, as the Secret holds them."""
    return {name: HASHES.get(password, password) for name, password in table.items()}


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    users = [
        {**user, **({"password_hash": HASHES[user["hash_of"]]} if "hash_of" in user else {})}
        for user in case["users"]
    ]
    if "problem" in case:
        assert any(case["problem"] in sentence for sentence in problems(users)), problems(users)
        return
    found = stored(case["found"])
    wanted = plan(users, found)
    assert problems(users) == []
    assert {"added": wanted.added, "updated": wanted.updated, "removed": wanted.removed} == case["plan"]
    assert wanted.changed == any(case["plan"].values())
    for name in wanted.hashes.keys() - set(wanted.added) - set(wanted.updated):
        assert wanted.hashes[name] == found[name], "a hash that still verifies was made again"
    for user in users:
        if user.get("password"):
            assert verifies(user["password"], wanted.hashes[user["name"]])
