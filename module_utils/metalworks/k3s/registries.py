"""Check and write k3s's registries.yaml, which says where a node's containerd pulls images from.

The format is k3s's own (docs.k3s.io/installation/private-registry) with one more key: `tls.ca` holds the
text of a CA's certificate. It is written into a file of its own, whose path becomes `ca_file`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.common.addresses import (
    host_port_problem,
    parse_host_port,
    web_place,
)
from ansible.module_utils.metalworks.common.suggestions import did_you_mean

Registries = Mapping[str, Any]

SECRETS = ("password", "auth", "identity_token")
LOGIN = ("username", *SECRETS)
FILES = ("ca_file", "cert_file", "key_file")
MASK = "********"
CERTIFICATE = "a certificate begins with -----BEGIN CERTIFICATE-----"


def problems(registries: Any) -> list[str]:
    """Return everything that is wrong, as sentences that begin with the place and show no secret."""
    return list(_sections(registries, {"mirrors": _mirror, "configs": _config}))


def _sections(registries: Any, checks: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys("", registries, checks)
    for section, check in checks.items():
        hosts = _mapping(registries).get(section) or {}
        if not isinstance(hosts, Mapping):
            yield f"{section}: {_kind(hosts)} is no mapping; write the registries' names as keys"
            continue
        for host, value in hosts.items():
            place = f"{section}: {re.sub('[^/]*@', '...@', str(host))}"  # a login may stand before the @
            yield from _host(place, str(host))
            yield from check(place, {} if value is None else value)


def _host(place: str, host: str) -> Iterator[str]:
    found = parse_host_port(host)
    problem = None if host == "*" else host_port_problem(host)
    if problem:
        yield f"{place}: {problem}"
    elif found and ":" in found.host and not host.startswith("["):
        yield f"{place}: an address of IPv6 is in brackets here; write {found}"


def _mirror(place: str, mirror: Any) -> Iterator[str]:
    yield from _keys(place, mirror, ("endpoint", "rewrite"))
    endpoints = _mapping(mirror).get("endpoint", [])
    if not isinstance(endpoints, list):
        yield f"{place}: endpoint: {_kind(endpoints)} is no list; write [https://HOST:PORT]"
        endpoints = []
    for endpoint in endpoints:
        yield from _endpoint(f"{place}: endpoint", endpoint)
    rewrites = _mapping(mirror).get("rewrite", {})
    if not isinstance(rewrites, Mapping):
        yield f'{place}: rewrite: {_kind(rewrites)} is no mapping; write {{"^library/(.*)": "mirror/$1"}}'


def _endpoint(place: str, endpoint: Any) -> Iterator[str]:
    if not isinstance(endpoint, str):
        yield f"{place}: {endpoint!r} is no text; write https://HOST:PORT"
    elif "@" in endpoint:
        yield f"{place}: holds a login; write it below configs, where it is kept secret"
    elif "://" not in endpoint:
        yield f"{place}: {endpoint!r} has no scheme; write https://{endpoint}"
    elif web_place(endpoint) is None:
        yield f"{place}: {endpoint!r} is not an address; write https://HOST:PORT"


def _config(place: str, config: Any) -> Iterator[str]:
    yield from _keys(place, config, ("auth", "tls"))
    found = _mapping(config)
    if "auth" in found:
        yield from _auth(f"{place}: auth", found["auth"])
    if "tls" in found:
        yield from _tls(f"{place}: tls", found["tls"])


def _auth(place: str, auth: Any) -> Iterator[str]:
    yield from _keys(place, auth, LOGIN)
    login = _mapping(auth)
    for key in LOGIN:
        if key in login and (not isinstance(login[key], str) or not login[key]):
            yield f"{place}: {key} is empty or no text; write it in quotes, or take it out"
    if "username" in login and "password" not in login:
        yield f"{place}: has a username and no password; write both"
    elif "password" in login and "username" not in login:
        yield f"{place}: has a password and no username; write both"
    elif login and not set(login) & {"username", "auth", "identity_token"}:
        yield f"{place}: has no login; write username and password"
    if isinstance(login.get("auth"), str) and login["auth"] and not _is_basic(login["auth"]):
        yield f"{place}: auth is not the base64 of USERNAME:PASSWORD; write username and password instead"


def _is_basic(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text, validate=True)
    except binascii.Error:
        return False


def _tls(place: str, tls: Any) -> Iterator[str]:
    yield from _keys(place, tls, (*FILES, "ca", "insecure_skip_verify"))
    found = _mapping(tls)
    for key in FILES:
        if key in found and not str(found[key]).startswith("/"):
            yield f"{place}: {key} {found[key]!r} is not a path on the node; write one that begins with /"
    if ("cert_file" in found) != ("key_file" in found):
        yield f"{place}: cert_file and key_file belong together; write both"
    if "ca" in found and "ca_file" in found:
        yield f"{place}: ca and ca_file exclude each other; write the certificate in ca, or a path in ca_file"
    if "ca" in found:
        yield from (f"{place}: ca {sentence}" for sentence in ca_problems(found["ca"]))
    skip = found.get("insecure_skip_verify", False)
    if not isinstance(skip, bool):
        yield f"{place}: insecure_skip_verify {skip!r} is not a flag; write true or false, without quotes"
    elif skip and set(found) & {"ca", "ca_file"}:
        yield f"{place}: insecure_skip_verify makes the CA useless; take one of them out"


def ca_problems(text: Any) -> Iterator[str]:
    """Yield what is wrong with the PEM text of a CA, as sentences that follow its name."""
    if not isinstance(text, str) or "-----BEGIN CERTIFICATE-----" not in text:
        hint = "a file's text is lookup('ansible.builtin.file', PATH)"
        yield f"is not the text of a certificate: {CERTIFICATE}; {hint}"
    elif "PRIVATE KEY-----" in text:
        yield "holds a private key, which belongs to the registry only; take it out"
    else:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError):
            yield "cannot be read: it was cut off or changed; copy the whole file, with its line ends"


def _keys(place: str, value: Any, known: Iterable[str]) -> Iterator[str]:
    prefix = f"{place}: " if place else ""
    if not isinstance(value, Mapping):
        yield f"{prefix}{_kind(value)} is no mapping; write {' and '.join(known)} as keys"
        return
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known, f"; there are {', '.join(known)}")
            yield f"{prefix}{key} is no key of registries.yaml{hint}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _kind(value: Any) -> str:
    """Return the name of a value's type. The value itself may be a secret."""
    return {"str": "a text", "list": "a list", "NoneType": "nothing"}.get(type(value).__name__, "this")


def with_own(registries: Any, own: Any) -> Any:
    """Return `registries` merged over the login and CA of the operator's registry (metalworks_registry).

    A value of a wrong type is returned as it is, and problems() names it.
    """
    configs = _mapping(registries).get("configs") or {}
    host = str(_mapping(own).get("address", ""))
    given = _mapping(configs).get(host) or {}
    if not host or not all(isinstance(each, Mapping) for each in (registries, configs, given)):
        return registries
    parts = {
        "auth": {key: own[key] for key in ("username", "password") if key in own},
        "tls": {key: own[key] for key in ("ca",) if key in own},
    }
    ours = {part: keys for part, keys in parts.items() if keys}
    config = {part: {**ours.get(part, {}), **_mapping(given.get(part))} for part in {**ours, **given}}
    return {**registries, "configs": {**configs, host: config}}


# Writing.


def render(registries: Registries, folder: Path) -> tuple[str, dict[Path, str]]:
    """Return the text of registries.yaml, and the texts of its CAs by their paths in `folder`.

    The name of a CA's file holds a hash of its content. So another CA changes registries.yaml, which makes a
    restart of k3s due.
    """
    authorities: dict[Path, str] = {}
    configs = {}
    for host, config in (registries.get("configs") or {}).items():
        tls = dict((config or {}).get("tls") or {})
        if "ca" in tls:
            text = tls.pop("ca").strip() + "\n"
            path = folder / ca_name(host, text)
            authorities[path] = text
            tls["ca_file"] = str(path)
        configs[host] = {**(config or {}), **({"tls": tls} if tls else {})}
    sections = {"mirrors": registries.get("mirrors"), "configs": configs}
    return "".join(_lines({name: hosts for name, hosts in sections.items() if hosts}, 0)), authorities


def ca_name(host: str, text: str) -> str:
    """Return the name of a CA's file: the host, and the beginning of a hash of the text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', host)}-{digest[:8]}.crt"


def _lines(mapping: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield lines of YAML. Keys and values are written as JSON, which needs no YAML library."""
    for key, value in sorted(mapping.items()):
        if isinstance(value, Mapping) and value:
            yield f"{'  ' * depth}{json.dumps(key)}:\n"
            yield from _lines(value, depth + 1)
        else:
            yield f"{'  ' * depth}{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}\n"


def mask(text: str) -> str:
    """Return the text of registries.yaml without its secrets, for a diff."""
    return re.sub(rf'^( *"({"|".join(SECRETS)})": ).+$', rf'\1"{MASK}"', text, flags=re.MULTILINE)


def secrets(registries: Any) -> set[str]:
    """Return the secret values, which must not be shown."""
    logins = [
        _mapping(_mapping(config).get("auth"))
        for config in _mapping(_mapping(registries).get("configs")).values()
    ]
    return {str(login[key]) for login in logins for key in SECRETS if login.get(key)}
