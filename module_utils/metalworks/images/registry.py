"""A container registry that images are pushed to: what it has, what it lacks, and how it gets that.

Speaks the OCI distribution API. Blobs travel as the cache has them, so that an image has one digest
everywhere; a layer that the registry has in another repository is mounted, not sent.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from .build import REGISTRY as NOWHERE
from .oci import INDEX, MANIFEST, Blob, BlobStore, Record

TIMEOUT = (10, 300)  # seconds: to connect; between two bytes, also while the registry checks a large layer
TRIES = 3  # of one layer, when the connection breaks
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(RuntimeError):
    """The registry refused, or could not be asked; the message says why and what to write instead."""


class BrokenError(RegistryError):
    """The connection broke, or the registry failed: another try may do."""


@dataclass(frozen=True)
class Target:
    """Where an image goes."""

    record: Record
    repository: str
    tag: str


@dataclass(frozen=True)
class Step:
    """One thing to do: mount or send a blob, or (with a tag) publish a manifest."""

    repository: str
    blob: Blob
    source: str = ""
    tag: str = ""

    @property
    def bytes(self) -> int:
        """What is sent over the line."""
        return 0 if self.source or self.tag else self.blob.size


def pushed(reference: str, address: str, repository: str) -> str:
    """Return the name that an image of our own has in a registry; others keep theirs."""
    if not reference.startswith(f"{NOWHERE}/"):
        return reference
    return "/".join(part for part in (address, repository, reference.partition("/")[2]) if part)


def target(record: Record, repository: str) -> Target:
    """Return where an image goes, below a repository."""
    path, _, tag = record.reference.partition("/")[2].rpartition(":")
    return Target(record, f"{repository}/{path}" if repository else path, tag)


def plan(
    targets: Iterable[Target], digests: Mapping[tuple[str, str], str], there: Iterable[tuple[str, str]]
) -> list[Step]:
    """Compare what is wanted with what a registry has.

    `digests`: (repository, tag) -> digest of the manifest. `there`: (repository, digest) of each blob.
    """
    homes: dict[str, list[str]] = {}
    for repository, digest in there:
        homes.setdefault(digest, []).append(repository)
    steps = []
    for each in targets:
        record = each.record
        if digests.get((each.repository, each.tag)) == record.manifest_digest:
            continue
        for blob in record.blobs:
            known = homes.setdefault(blob.digest, [])
            if blob == record.manifest or each.repository in known:
                continue
            steps.append(Step(each.repository, blob, source=known[0] if known else ""))
            known.append(each.repository)
        steps.append(Step(each.repository, record.manifest, tag=each.tag))
    return steps


class Registry:
    """One registry, and who pushes to it. As with Docker, one of this computer needs no TLS."""

    def __init__(self, address: str, username: str = "", password: str = "", ca: str = "") -> None:
        self.address, self.username = address, username
        self._basic = base64.b64encode(f"{username}:{password}".encode()).decode() if username else ""
        self._base = f"{'http' if is_loopback(address) else 'https'}://{address}"
        self._ca = trust(ca)
        self._verify = getattr(self._ca, "name", self._ca)
        self._logins: dict[tuple[str, ...], str] = {}
        self._session = requests.Session()
        # What is sent is sent again by take(), in an upload of its own.
        retry = Retry(2, status_forcelist=(502, 503, 504), allowed_methods=("HEAD", "GET"), backoff_factor=1)
        self._session.mount(self._base, HTTPAdapter(max_retries=retry))

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections, and remove the CA's file."""
        self._session.close()
        if hasattr(self._ca, "close"):
            self._ca.close()

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of the manifest that a tag means; empty where there is none."""
        accept = {"Accept": f"{MANIFEST}, {INDEX}"}
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._ask("HEAD", path, [repository], allowed=(200, 404), headers=accept)
        return str(answer.headers.get("Docker-Content-Digest", "")) if answer.ok else ""

    def has(self, repository: str, digest: str) -> bool:
        """Tell whether a repository has a blob."""
        path = f"/v2/{repository}/blobs/{digest}"
        return self._ask("HEAD", path, [repository], allowed=(200, 404)).ok

    def take(self, step: Step, store: BlobStore) -> None:
        """Do one step; a layer is sent again when the connection breaks on its way."""
        if step.tag:
            return self._publish(step, store)
        for left in reversed(range(TRIES)):
            try:
                return self._send(step, store)
            except BrokenError:
                if not left:
                    raise
        return None

    def _send(self, step: Step, store: BlobStore) -> None:
        mount = {"mount": step.blob.digest, "from": step.source} if step.source else {}
        repositories = [step.repository, *filter(None, [step.source])]
        path = f"/v2/{step.repository}/blobs/uploads/"
        answer = self._ask("POST", path, repositories, allowed=(201, 202), params=mount)
        if answer.status_code == 201:  # mounted
            return
        self._ask(
            "PUT",
            urljoin(answer.url, answer.headers["Location"]),
            [step.repository],
            allowed=(201, 204),
            params={"digest": step.blob.digest},
            headers={"Content-Type": "application/octet-stream"},
            file=store.path(step.blob.digest),
        )

    def _publish(self, step: Step, store: BlobStore) -> None:
        self._ask(
            "PUT",
            f"/v2/{step.repository}/manifests/{step.tag}",
            [step.repository],
            allowed=(201,),
            headers={"Content-Type": step.blob.mediaType},
            file=store.path(step.blob.digest),
        )
        found = self.digest(step.repository, step.tag)
        if found != step.blob.digest:
            raise RegistryError(
                f"the registry {self.address} answers {found or 'nothing'} for {step.repository}:{step.tag}, "
                f"and was given {step.blob.digest}: it alters or drops what it is sent"
            )

    def _ask(
        self,
        method: str,
        where: str,
        repositories: Sequence[str],
        *,
        allowed: Sequence[int],
        file: Path | None = None,
        **options: Any,
    ) -> requests.Response:
        """One request, with a login where the registry wants one."""
        scopes = tuple(
            f"repository:{name}:{'pull' if n else 'pull,push'}" for n, name in enumerate(repositories)
        )
        answer = self._try(method, where, scopes, file, options)
        if answer.status_code == 401:
            self._log_in(answer, scopes)
            answer = self._try(method, where, scopes, file, options)
        if answer.status_code not in allowed:
            raise self._refusal(answer, repositories[0])
        return answer

    def _try(
        self, method: str, where: str, scopes: tuple[str, ...], file: Path | None, options: Mapping[str, Any]
    ) -> requests.Response:
        url = urljoin(self._base, where)
        # A registry may have layers sent to a storage of others, which must not see the login.
        at_home = urlsplit(url).netloc == urlsplit(self._base).netloc
        login = self._logins.get(scopes) or self._logins.get(()) or ""
        try:
            with _opened(file) as body:
                return self._session.request(
                    method,
                    url,
                    data=body,
                    auth=_Header(login if at_home else ""),
                    timeout=TIMEOUT,
                    verify=self._verify,
                    **options,
                )
        except requests.RequestException as error:
            raise self._unreachable(error) from error

    def _log_in(self, challenge: requests.Response, scopes: tuple[str, ...]) -> None:
        """Answer a challenge: with name and password, or with a token that they are changed for."""
        wanted = challenge.headers.get("WWW-Authenticate", "")
        kind, _, rest = wanted.partition(" ")
        if kind.lower() == "basic" and self._basic and () not in self._logins:
            self._logins[()] = f"Basic {self._basic}"
        elif kind.lower() == "bearer" and (scopes not in self._logins or challenge.request.method == "PUT"):
            self._logins[scopes] = f"Bearer {self._token(dict(CHALLENGE.findall(rest)), scopes)}"

    def _token(self, challenge: Mapping[str, str], scopes: tuple[str, ...]) -> str:
        fields = [("service", challenge.get("service", "")), *(("scope", scope) for scope in scopes)]
        login = f"Basic {self._basic}" if self._basic else ""
        try:
            answer = self._session.get(
                challenge.get("realm", ""),
                params=fields,
                auth=_Header(login),
                timeout=TIMEOUT,
                verify=self._verify,
            )
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        if not answer.ok:
            raise self._refusal(answer, scopes[0].split(":")[1])
        told = answer.json()
        return str(told.get("token") or told.get("access_token") or "")

    def _refusal(self, answer: requests.Response, repository: str) -> RegistryError:
        """Name the cause of a refusal, and what to write instead."""
        who = self.username or "somebody without a login"
        said = read_error(answer)
        status = answer.status_code
        if status == 401 and not self.username:
            return RegistryError(
                f"the registry {self.address} wants a login: write username and password into "
                "metalworks_registry"
            )
        if status == 401:
            return RegistryError(
                f"the registry {self.address} does not let {who} in: username or password in "
                f"metalworks_registry is wrong, or {who} may not push to {repository}"
            )
        if status in (403, 405):
            return RegistryError(
                f"the registry {self.address} does not let {who} write to {repository}: give it the right to "
                f"push there, or name another place with metalworks_registry.repository. It says: {said}"
            )
        if status >= 500 or status == 429:
            return BrokenError(f"the registry {self.address} failed with {status}: {said}")
        where = urlsplit(answer.url).path
        return RegistryError(f"the registry {self.address} answered {status} to {where}: {said}")

    def _unreachable(self, error: requests.RequestException) -> RegistryError:
        why = innermost(error)
        if "WRONG_VERSION_NUMBER" in why or "record layer failure" in why.lower():
            return RegistryError(
                f"the registry {self.address} does not speak TLS, which only one of this computer may"
            )
        if isinstance(error, requests.exceptions.SSLError):
            return RegistryError(
                f"the certificate of the registry {self.address} is not trusted: write the PEM text of the "
                f"CA that signed it into metalworks_registry.ca. {why}"
            )
        return BrokenError(
            f"the registry {self.address} cannot be reached: {why}. Is metalworks_registry.address right?"
        )


class _Header(AuthBase):
    """A ready Authorization header; with none, none is looked up elsewhere (a .netrc)."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


class _opened:
    """A file to send, or nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("rb") if path else None

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()


def is_loopback(address: str) -> bool:
    """Tell whether an address is this computer's own."""
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trust(ca: str) -> Any:
    """Return whom to trust: a CA, in a file, or whom this computer trusts (requests brings its own list)."""
    if not ca:
        paths = ssl.get_default_verify_paths()
        return os.environ.get("REQUESTS_CA_BUNDLE") or paths.cafile or paths.capath or True
    try:
        ssl.create_default_context(cadata=ca)
    except ssl.SSLError as error:
        raise RegistryError(
            "metalworks_registry.ca is no certificate in PEM (-----BEGIN CERTIFICATE-----): "
            f"{error.reason or error}"
        ) from error
    file = tempfile.NamedTemporaryFile("w", suffix=".pem")  # noqa: SIM115 (goes with the Registry)
    file.write(ca)
    file.flush()
    return file


def read_error(answer: requests.Response) -> str:
    """Return what a registry gives as its reason, in a line."""
    try:
        errors = answer.json()["errors"]
        return "; ".join(str(each.get("message") or each["code"]) for each in errors)
    except (ValueError, KeyError, TypeError):
        return " ".join(answer.text.split())[:200] or answer.reason


def innermost(error: BaseException) -> str:
    """Return the sentence at the bottom of a failed connection."""
    chain = list(_causes(error))
    named = [each for each in chain if isinstance(each, OSError) and each.strerror]
    return str(named[-1].strerror if named else chain[-1])


def _causes(error: BaseException) -> Iterator[BaseException]:
    while error:
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__]
        following = next((each for each in inner if isinstance(each, BaseException)), None)
        if following is None:
            return
        error = following
