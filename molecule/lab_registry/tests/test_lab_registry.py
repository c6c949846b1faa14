"""The registry lets in who knows the CA and the password, and keeps what it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import testinfra
from tests.support.scenario import LAB, NETWORK, STATE, converge_again

SCENARIO = Path(__file__).parents[1]
URL = f"https://{NETWORK}.250:5000"
FOLDER = STATE / "registry"
computer = testinfra.get_host("local://")


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(FOLDER / "ca.crt")
        session.auth = ("metalworks", password())
        yield session


def password() -> str:
    return (FOLDER / "password").read_text().strip()


def test_the_login_is_let_in(session: requests.Session) -> None:
    assert session.get(f"{URL}/v2/").status_code == 200


@pytest.mark.parametrize("login", [None, ("metalworks", "wrong"), ("other", "metalworks")])
def test_another_login_is_not(session: requests.Session, login: tuple[str, str] | None) -> None:
    session.auth = login
    assert session.get(f"{URL}/v2/").status_code == 401


def test_who_does_not_know_the_ca_does_not_trust_it(session: requests.Session) -> None:
    session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        session.get(f"{URL}/v2/")


def test_a_machine_reaches_it_with_the_ca_only(host: Any) -> None:
    ca = (FOLDER / "ca.crt").read_text()
    script = (
        "import ssl, sys, urllib.request\n"
        "trust = ssl.create_default_context(cadata=sys.argv[1] or None)\n"
        f"print(urllib.request.urlopen({URL!r}, context=trust).status)\n"
    )
    assert host.check_output("python3 -c %s %s", script, ca) == "200"
    assert "CERTIFICATE_VERIFY_FAILED" in host.run("python3 -c %s ''", script).stderr


def test_its_secrets_are_for_the_operator_only() -> None:
    assert (FOLDER.stat().st_mode & 0o777) == 0o700
    for name in ("ca.key", "tls.key", "password"):
        assert ((FOLDER / name).stat().st_mode & 0o777) == 0o600
    told = computer.check_output(f"docker inspect {LAB}-registry; docker logs {LAB}-registry 2>&1")
    assert password() not in told


class TestLife:
    """One after the other; the last removes what the scenario made."""

    def test_what_was_pushed_outlives_another_certificate(self, session: requests.Session) -> None:
        blob = b"a layer"
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        upload = session.post(f"{URL}/v2/kept/blobs/uploads/").headers["Location"]
        assert session.put(upload, params={"digest": digest}, data=blob).status_code == 201
        before = (FOLDER / "tls.crt").read_text()
        (FOLDER / "tls.crt").unlink()
        converge_again(SCENARIO, "one_machine.yml")
        assert (FOLDER / "tls.crt").read_text() != before
        assert session.get(f"{URL}/v2/kept/blobs/{digest}").content == blob

    def test_removed_it_leaves_nothing_behind(self) -> None:
        converge_again(SCENARIO, "one_machine.yml", lab_registry_state="absent")
        assert computer.check_output(f"docker ps --all --quiet --filter name={LAB}-registry") == ""
        assert computer.check_output(f"docker volume ls --quiet --filter name={LAB}-registry") == ""
        assert not FOLDER.exists()
