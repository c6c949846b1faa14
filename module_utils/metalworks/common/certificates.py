"""What is wrong with a server's certificate, by the words of OpenSSL and of Python."""

from __future__ import annotations

# The words are those of OpenSSL's X509_verify_cert_error_string, and of Python where names are compared.
_WORDS = (
    ("certificate has expired", "expired"),
    ("not yet valid", "early"),
    ("mismatch, certificate is not valid for", "name"),
    ("doesn't match", "name"),  # urllib3
    ("unable to get", "unsigned"),
    ("self-signed certificate", "unsigned"),
    ("self signed certificate", "unsigned"),
    ("signature failure", "unsigned"),
    # Python asks for these since 3.13 (VERIFY_X509_STRICT); browsers and programs in Go do not.
    ("Key Identifier", "strict"),
    ("key usage extension", "strict"),
    ("Basic Constraints", "strict"),
)
STRICT = (
    "it lacks an extension that Python demands since 3.13 and other programs do not: run Ansible with Python "
    "3.12, or have the CA made anew with that extension"
)


def fault(said: str) -> str:
    """Return what is wrong: `expired`, `early`, `name`, `unsigned`, `strict`, or nothing if it is unknown."""
    return next((kind for words, kind in _WORDS if words in said), "")
