"""S3 clients, and what S3 errors mean for an operator."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..common import certificates
from ..common.addresses import web_place

# Error code of S3 -> what it means. `{key}`, `{bucket}` and `{endpoint}` are replaced.
MEANINGS = {
    "InvalidAccessKeyId": "{endpoint} does not know the access key {key}",
    "SignatureDoesNotMatch": "the secret key of the access key {key} is not the one that {endpoint} has",
    "NoSuchBucket": "{endpoint} has no bucket {bucket}: make it, or name another one",
    "AccessDenied": (
        "the access key {key} may not list the bucket {bucket}: it is somebody else's, or a right is missing"
    ),
    "PermanentRedirect": "the bucket {bucket} is in another region of {endpoint}: write that one's endpoint",
    "AuthorizationHeaderMalformed": "{endpoint} expects another region: write it into object_store_region",
    "RequestTimeTooSkewed": "the clocks of {endpoint} and of this computer differ by more than 15 minutes",
    "InsufficientStorage": "the disk of {endpoint} is full",
    "QuotaExceeded": "{endpoint} has reached its budget",
}
# Errors of botocore without an answer.
UNREACHABLE = ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError")
CERTIFICATE_FAULTS = {
    "expired": "it has expired; have it renewed there",
    "early": "it is not valid yet; compare the clocks of this computer and of the store",
    "name": "it is made for other names; write one of them into the endpoint",
    "unsigned": "no CA that is known here signed it; name its CA in AWS_CA_BUNDLE",
    "strict": certificates.STRICT,
}


def make_client(endpoint: str, access_key: str, secret_key: str, region: str, *, near: bool = False) -> Any:
    """Return a client of S3. A `near` endpoint is this computer's own: no proxy leads to it."""
    from botocore.config import Config

    settings: dict[str, Any] = {
        "signature_version": "s3v4",
        "s3": {"addressing_style": "path"},
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {"mode": "standard", "max_attempts": 3},
    }
    if near:
        settings["proxies"] = {}
    return _session().create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(**settings),
    )


@functools.cache
def _session() -> Any:
    """Return a session that reads no file of the operator's: the keys are those that are given.

    It keeps the description of S3, which takes longer to read than S3 to answer.
    """
    import botocore.session

    session = botocore.session.Session()
    session.set_config_variable("profile", None)
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    return session


def code_of(error: Exception) -> str:
    """Return the S3 code of an error; empty if the error is no answer of a store."""
    answer: Mapping[str, Any] = getattr(error, "response", None) or {}
    return str((answer.get("Error") or {}).get("Code", ""))


def meaning(error: Exception, endpoint: str, key: str = "", bucket: str = "") -> str:
    """Return what an error of a client means, as a sentence without a full stop and without secrets."""
    code = code_of(error)
    if code in MEANINGS:
        return MEANINGS[code].format(endpoint=endpoint, key=key, bucket=bucket)
    if code.isdigit():
        # botocore makes the status the code where it cannot read the answer.
        return f"{endpoint} does not answer as an S3 store does (status {code})"
    if code:
        message = (getattr(error, "response", {}).get("Error") or {}).get("Message", "")
        return f"{endpoint} refuses the access key {key}: {code} {message}".rstrip()
    name = type(error).__name__
    if name in UNREACHABLE:
        return f"{endpoint} cannot be reached from this computer ({name})"
    if name == "SSLError":
        said = str(error)
        remedy = CERTIFICATE_FAULTS.get(certificates.fault(said), f"it is not accepted: {said}")
        return f"the certificate of {endpoint} cannot be used: {remedy}"
    return f"{endpoint}: {name}: {error}"


def is_own(endpoint: str, namespace: str) -> bool:
    """Return whether an endpoint is that of the store that the platform installs."""
    return endpoint.rstrip("/") == f"http://object-store.{namespace}.svc.cluster.local:7070"


def endpoint_problem(endpoint: object) -> str | None:
    """Return why a text is no endpoint, and what to write instead, or None."""
    text = str(endpoint)
    if "@" in text:
        return "holds a login: write the keys into object_store_credentials"
    if web_place(text) is None:
        return f"is {text!r}: write it with http:// or https://, as in https://s3.example.com"
    parts = urlsplit(text)
    if parts.path.strip("/") or parts.query:
        return f"is {text!r}: write only scheme, host and port; the bucket's name comes later"
    return None
