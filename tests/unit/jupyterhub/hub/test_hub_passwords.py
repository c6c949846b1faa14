"""What the hub makes of a stored hash, and how it slows guessing down."""

from __future__ import annotations

import hub_passwords
import pytest
from ansible.module_utils.metalworks.jupyterhub.scrypt import COST, make_hash


def test_hub_reads_the_hashes_that_the_module_writes() -> None:
    stored = make_hash("pass wörd")
    assert hub_passwords.verify_password("pass wörd", stored)
    assert not hub_passwords.verify_password("password", stored)


def test_unknown_user_costs_as_much_as_a_known_one() -> None:
    nobody = hub_passwords.parse_hash(hub_passwords.NOBODY)
    assert {"n": nobody.n, "r": nobody.r, "p": nobody.p} == COST


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("user1", id="a_password"),
        pytest.param("scrypt$x$8$5$c2FsdA==$aGFzaGhhc2hoYXNoaGFzaA==", id="no_number"),
        pytest.param("scrypt$16384$8$5$c2FsdA==$!", id="no_base64"),
        pytest.param("scrypt$16384$8$5$c2FsdA==$aGFzaA==", id="too_short"),
        pytest.param("scrypt$16777216$8$5$c2FsdA==$aGFzaGhhc2hoYXNoaGFzaA==", id="too_much_memory"),
    ],
)
def test_broken_hash_is_refused_and_not_repeated(stored: str) -> None:
    with pytest.raises(hub_passwords.BadHash) as error:
        hub_passwords.verify_password("user1", stored)
    assert stored not in str(error.value)


def test_first_wrong_passwords_cost_no_wait_and_further_ones_ever_more() -> None:
    limit, waits = hub_passwords.AttemptLimit(free=3, longest_wait=10), []
    for _ in range(8):
        waits.append(limit.wait("ada", now=0.0))
        limit.failed("ada", now=0.0)
    assert waits == [0, 0, 0, 2, 4, 8, 10, 10]


def test_waiting_time_passes_and_other_names_do_not_wait() -> None:
    limit = hub_passwords.AttemptLimit(free=1)
    limit.failed("ada", now=100.0)
    assert limit.wait("ada", now=100.5) == pytest.approx(1.5)
    assert limit.wait("ada", now=103.0) == 0
    assert limit.wait("grace", now=100.5) == 0


def test_right_password_forgets_the_wrong_ones() -> None:
    limit = hub_passwords.AttemptLimit(free=1)
    limit.failed("ada", now=0.0)
    limit.succeeded("ada")
    assert limit.wait("ada", now=0.0) == 0


def test_guessing_names_fills_no_memory() -> None:
    limit = hub_passwords.AttemptLimit(free=1, names=10)
    for number in range(100):
        limit.failed(f"nobody-{number}", now=0.0)
    assert sum(limit.wait(f"nobody-{number}", now=0.0) > 0 for number in range(100)) == 10
