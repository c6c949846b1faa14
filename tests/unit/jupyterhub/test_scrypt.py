"""Hashes: made here, read by the hub's authenticator."""

from __future__ import annotations

import pytest
from ansible.module_utils.metalworks.jupyterhub.scrypt import is_hash, make_hash, verifies

HASH = make_hash("right")


def test_hash_verifies_its_password_only() -> None:
    assert verifies("right", HASH)
    assert not verifies("wrong", HASH)


def test_two_hashes_of_one_password_differ() -> None:
    assert make_hash("right") != make_hash("right")


def test_hash_of_another_cost_is_made_again() -> None:
    assert not verifies("right", HASH.replace("$16384$", "$8192$"))


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
