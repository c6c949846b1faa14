"""Certificates for tests that speak TLS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def self_signed(path: Path, *names: x509.GeneralName) -> Path:
    """Write a key and a certificate for these names, trusted by whoever trusts the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("a test", key.public_key(), names).sign(key, hashes.SHA256())
    path.write_bytes(key.private_bytes(*FORM) + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def signed_by(authority: Path, path: Path, *names: x509.GeneralName) -> Path:
    """Write a key and a certificate that a self-signed one signed. None of them has key identifiers."""
    content = authority.read_bytes()
    its_key = serialization.load_pem_private_key(content, password=None)
    assert isinstance(its_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(content).subject
    made = _certificate("a server", key.public_key(), names, issuer).sign(its_key, hashes.SHA256())
    path.write_bytes(key.private_bytes(*FORM) + made.public_bytes(serialization.Encoding.PEM))
    return path


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    issuer: x509.Name | None = None,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    constraints = x509.BasicConstraints(ca=issuer is None, path_length=None if issuer else 0)
    return (
        x509.CertificateBuilder(issuer or subject, subject, key, x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(constraints, critical=True)
    )
