"""What is wrong with a certificate is told by the words, and each client says what to do about it."""

from __future__ import annotations

import pytest
from ansible.module_utils.metalworks.common.certificates import fault
from ansible.module_utils.metalworks.object_store.s3 import meaning

SAID = [
    ("certificate verify failed: certificate has expired (_ssl.c:1000)", "expired", "have it renewed there"),
    ("certificate verify failed: certificate is not yet valid", "early", "compare the clocks"),
    ("Hostname mismatch, certificate is not valid for 'store.example'.", "name", "made for other names"),
    ("hostname '192.0.2.4' doesn't match 'store.example'", "name", "made for other names"),
    ("unable to get local issuer certificate", "unsigned", "name its CA in AWS_CA_BUNDLE"),
    ("unable to get issuer certificate", "unsigned", "name its CA in AWS_CA_BUNDLE"),
    ("self-signed certificate in certificate chain", "unsigned", "name its CA in AWS_CA_BUNDLE"),
    ("self signed certificate", "unsigned", "name its CA in AWS_CA_BUNDLE"),
    ("Missing Authority Key Identifier", "strict", "run Ansible with Python 3.12"),
    ("Missing Subject Key Identifier", "strict", "run Ansible with Python 3.12"),
    ("CA cert does not include key usage extension", "strict", "run Ansible with Python 3.12"),
    ("Basic Constraints of CA cert not marked critical", "strict", "run Ansible with Python 3.12"),
    ("unsupported certificate purpose", "", "it is not accepted: unsupported certificate purpose"),
]


class SSLError(Exception):
    """An error of the name that botocore gives to all faults of certificates."""


@pytest.mark.parametrize(("said", "kind", "remedy"), SAID, ids=[said for said, *_ in SAID])
def test_the_words_decide(said: str, kind: str, remedy: str) -> None:
    assert fault(said) == kind
    assert remedy in meaning(SSLError(said), "https://store.example")
