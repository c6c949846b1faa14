"""Who is added, updated, removed; what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.jupyterhub.scrypt import COST, make_hash, verifies
from library.jupyterhub.jupyterhub_credentials import plan, problems
from tests.support.modules import cases


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs is not what these tests are about."""
    monkeypatch.setitem(COST, "n", 2)


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    hashes = {password: make_hash(password) for password in ("one", "two")}
    users = [
        {**user, **({"password_hash": hashes[user["hash_of"]]} if "hash_of" in user else {})}
        for user in case["users"]
    ]
    if "problem" in case:
        assert any(case["problem"] in sentence for sentence in problems(users)), problems(users)
        return
    found = {name: hashes.get(password, password) for name, password in case["found"].items()}
    wanted = plan(users, found)
    assert problems(users) == []
    assert {"added": wanted.added, "updated": wanted.updated, "removed": wanted.removed} == case["plan"]
    assert wanted.changed == any(case["plan"].values())
    for name in wanted.hashes.keys() - set(wanted.added) - set(wanted.updated):
        assert wanted.hashes[name] == found[name], "a hash that still verifies was made again"
    for user in users:
        if user.get("password"):
            assert verifies(user["password"], wanted.hashes[user["name"]])
