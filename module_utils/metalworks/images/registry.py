"""A container registry, through skopeo: what it has, how it gets the rest, and how an image is taken from it.

skopeo sends the blobs that a registry lacks, as the cache has them, so that an image has one digest
everywhere. What it says on failure is turned into a cause and a remedy here, by its content: skopeo 1.9
(Debian 12) and later ones word these errors alike, as they come from Go's own libraries and from the
registry. What is not known is shown in skopeo's own words.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import ssl
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..common.addresses import is_loopback, parse_host_port
from ..common.files import write_atomically
from .names import by_digest
from .oci import BlobStore, write_layout
from .record import Record

ARGUMENTS: dict[str, Any] = {
    "address": {"type": "str", "required": True},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "ca": {"type": "str", "default": ""},
}
NOT_INSTALLED = (
    "images are pushed and pulled by skopeo, which is not installed on this computer. On Debian and Ubuntu: "
    "apt-get install skopeo; on macOS: brew install skopeo"
)
RETRIES = 2  # of a copy whose connection broke; skopeo does not retry what the registry refused
ASK_SECONDS = 60
PULL_SECONDS = 1800
SLOWEST_BYTES_PER_SECOND = 50_000  # a copy that is slower counts as hanging
_FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')
_MISSING = re.compile(
    r"(?:manifest|name) unknown|(?:repository|artifact|tag) .*(?:not found|does not exist)|: 404\b"
)
_LOGIN = re.compile(r"unauthorized|authentication required|invalid username/password|: 401\b", re.IGNORECASE)
_DENIED = re.compile(
    r"denied|unsupported|insufficient_scope|(?:: |registry )40[35]\b|read[- ]only", re.IGNORECASE
)
_NO_TLS = re.compile(r"does not look like a TLS handshake|server gave HTTP response to HTTPS client")
_UNKNOWN_CA = re.compile(r"unknown authority|certificate is not trusted|not standards compliant")
_FAILED = re.compile(r"(?:: |HTTP status: )(5\d\d|429)\b|toomanyrequests", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection re(?:fused|set)|no route to host|unreachable|i/o timeout|"
    r"context deadline exceeded|TLS handshake timeout|\bEOF$|broken pipe"
)


class RegistryError(RuntimeError):
    """The registry refused, or could not be asked; the message says why and what to write instead."""


class DeniedError(RegistryError):
    """The registry does not let this login see what was asked for."""


def plan(wanted: Iterable[tuple[str, Record]], found: Mapping[str, str]) -> list[tuple[str, Record]]:
    """Return the images that have to be pushed, each with its name in the registry.

    `found` has the digest of the manifest that each name means in the registry, where it means one.
    """
    return [(name, record) for name, record in wanted if found.get(name) != record.manifest_digest]


class Registry:
    """One registry, and the login to it. As with Docker, a registry on this computer needs no TLS.

    Use it in a `with` block: login and CA are kept in a folder that only this user can read, until its end.
    """

    def __init__(self, address: str, username: str = "", password: str = "", ca: str = "") -> None:
        """Use the registry at HOST:PORT. `ca` is the PEM text of the CA that signed its certificate."""
        self.address, self._username, self._password, self._ca = address, username, password, ca
        self._exit = contextlib.ExitStack()
        self._folder = Path()

    def __enter__(self) -> Registry:
        """Write login and CA into files, because every user of a computer can read command lines."""
        self._check_ca()
        temporary = tempfile.TemporaryDirectory(prefix="metalworks-registry-")  # only its owner can enter it
        self._folder = Path(self._exit.enter_context(temporary))
        login = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
        logins = {"auths": {self.address: {"auth": login}}}
        write_atomically(self._folder / "auth.json", json.dumps(logins), 0o600)
        if self._ca:
            (self._folder / "ca").mkdir()
            write_atomically(self._folder / "ca" / "ca.crt", self._ca, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove login and CA."""
        self._exit.close()

    def digest(self, name: str) -> str:
        """Return the digest of the manifest that an image's name means here; empty where it means none."""
        options = [*self._options(""), "--raw", f"docker://{name}"]
        done = self._skopeo("inspect", options, ASK_SECONDS)
        if done.returncode == 0:
            return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}"
        message = last_words(done.stderr)
        if _MISSING.search(message) and not _LOGIN.search(message):
            return ""
        raise self._cause(message, name)

    def push(self, name: str, record: Record, store: BlobStore) -> None:
        """Push an image, and make sure that the registry has it under its own digest."""
        seconds = ASK_SECONDS + sum(blob.size for blob in record.blobs) // SLOWEST_BYTES_PER_SECOND
        with tempfile.TemporaryDirectory(dir=self._folder) as layout:
            write_layout(store, record, Path(layout))
            options = ["--quiet", "--preserve-digests", f"--retry-times={RETRIES}", *self._options("dest-")]
            done = self._skopeo("copy", [*options, f"oci:{layout}", f"docker://{name}"], seconds)
        if done.returncode != 0:
            raise self._cause(last_words(done.stderr), name)
        found = self.digest(name)
        if found != record.manifest_digest:
            raise RegistryError(
                f"the registry {self.address} answers {found or 'nothing'} for {name}, and was given "
                f"{record.manifest_digest}: it alters or drops what it is sent"
            )

    def pull(self, name: str, archive: Path, reference: str) -> None:
        """Write an image into an archive from which Docker loads it under the name `reference`.

        `name` is the image's name with a digest, and nothing of another content is taken.
        """
        # Docker's archives have no word for layers of zstd, so they are unpacked on the way.
        with tempfile.TemporaryDirectory(dir=archive.parent) as unpacked:
            for copy in (
                [
                    *(f"--retry-times={RETRIES}", *self._options("src-"), "--dest-decompress"),
                    *(f"docker://{by_digest(name)}", f"dir:{unpacked}"),
                ],
                [f"dir:{unpacked}", f"docker-archive:{archive}:{reference}"],
            ):
                done = self._skopeo("copy", ["--quiet", *copy], PULL_SECONDS)
                if done.returncode != 0:
                    raise self._cause(last_words(done.stderr), name)

    def _options(self, prefix: str) -> list[str]:
        """Return skopeo's options for this registry.

        `prefix` is `dest-` where it is the target of a copy, and `src-` where it is the source.
        """
        place = parse_host_port(self.address)
        # Without a login, skopeo would look for one in the operator's own files.
        options = [f"--authfile={self._folder / 'auth.json'}" if self._username else f"--{prefix}no-creds"]
        if self._ca:
            options.append(f"--{prefix}cert-dir={self._folder / 'ca'}")
        if place and is_loopback(place.host):
            options.append(f"--{prefix}tls-verify=false")
        return options

    def _skopeo(self, verb: str, options: list[str], seconds: int) -> subprocess.CompletedProcess[bytes]:
        # The policy would be about signatures, and what is copied comes from this computer's own cache.
        command = ["skopeo", "--insecure-policy", f"--command-timeout={seconds}s", verb, *options]
        try:
            done = subprocess.run(
                command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False
            )
        except FileNotFoundError as error:
            raise RegistryError(NOT_INSTALLED) from error
        if b"unknown flag: --preserve-digests" in done.stderr:
            raise RegistryError(
                "this computer's skopeo is too old to keep digests: install skopeo 1.6 or newer"
            )
        return done

    def _check_ca(self) -> None:
        try:
            ssl.create_default_context(cadata=self._ca or None)
        except ssl.SSLError as error:
            raise RegistryError(
                "metalworks_registry.ca is no certificate in PEM (-----BEGIN CERTIFICATE-----): "
                f"{error.reason or error}"
            ) from error

    def _cause(self, said: str, name: str) -> RegistryError:
        """Return what skopeo's words mean, and what to write instead."""
        registry, who = f"the registry {self.address}", self._username or "somebody without a login"
        if _NO_TLS.search(said):
            return RegistryError(f"{registry} does not speak TLS, which only one of this computer may")
        if "x509: " in said:
            why = said.partition("x509: ")[2]
            if _UNKNOWN_CA.search(why):
                return RegistryError(
                    f"the certificate of {registry} is not trusted: write the PEM text of the CA that signed "
                    f"it into metalworks_registry.ca. {why}"
                )
            return RegistryError(f"the certificate of {registry} does not fit: renew it there. {why}")
        if _LOGIN.search(said) and not self._username:
            return DeniedError(
                f"{registry} wants a login: write username and password into metalworks_registry"
            )
        if _LOGIN.search(said):
            return DeniedError(
                f"{registry} does not let {who} in: username or password in metalworks_registry is wrong, or "
                f"{who} may not push to {name}"
            )
        if _DENIED.search(said):
            return DeniedError(
                f"{registry} does not let {who} write to {name}: give it the right to push there, or name "
                f"another place with metalworks_registry.repository. It says: {innermost(said)}"
            )
        if _FAILED.search(said):
            return RegistryError(f"{registry} failed, and may recover: {innermost(said)}")
        if _UNREACHABLE.search(said):
            return RegistryError(
                f"{registry} cannot be reached: {innermost(said)}. Is metalworks_registry.address right?"
            )
        return RegistryError(f"{registry} did not take or show {name}: {said}")


def last_words(stderr: bytes) -> str:
    """Return what skopeo ended with, without its frame; of an unknown frame, the last line."""
    text = stderr.decode(errors="replace").strip()
    found = _FATAL.findall(text)
    if not found:
        return text.splitlines()[-1] if text else "skopeo ended without a word"
    plain = found[-1].replace(r"\n", " ").replace(r"\t", " ")
    return re.sub(r"\\(.)", r"\1", plain).strip()


def innermost(said: str) -> str:
    """Return the last part of an error that wraps others."""
    return said.rstrip(": ,").rpartition(": ")[2]
