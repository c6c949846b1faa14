"""Hashes: made here, read by the hub's authenticator."""

from __future__ import annotations

import pytest
from ansible.module_utils.metalworks.jupyterhub.scrypt import COST, is_hash, make_hash, verifies


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs is not what these tests are about."""
    monkeypatch.setitem(COST, "n", 16)


def test_hash_verifies_its_password_only() -> None:
    stored = make_hash("right")
    assert verifies("right", stored)
    assert not verifies("wrong", stored)


def test_two_hashes_of_one_password_differ() -> None:
    assert make_hash("right") != make_hash("right")


def test_hash_of_another_cost_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = make_hash("right")
    monkeypatch.setitem(COST, "n", 32)
    assert not verifies("right", stored)
    assert verifies("right", make_hash("right"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "right",
        "scrypt$16384$8$5$salt",
        "bcrypt$16384$8$5$c2FsdA==$aGFzaA==",
        "scrypt$n$8$5$c2FsdA==$aGFzaA==",
    ],
)
def test_what_is_no_hash(text: str) -> None:
    assert not is_hash(text)
    assert not verifies("right", text)
