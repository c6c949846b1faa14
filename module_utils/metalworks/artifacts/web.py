"""Has what is behind a web address: whole, by a way as safe as the address says, or says why not.

Ansible's own opener honours the computer's proxies, certificates and ~/.netrc. Redirects are followed here,
hop by hop: none may lead from https to http, and a login is never handed on to another host.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url

from ..common.files import CHUNK

REDIRECTS = (301, 302, 303, 307, 308)
HOPS = 10
GONE = (404, 410)
BUSY = (408, 425, 429)


class WebError(RuntimeError):
    """It cannot be had; the message holds the address and the reason."""


class NotThereError(WebError):
    """The site answers and has nothing at this address."""


class UnsteadyError(WebError):
    """The next try may succeed."""


@dataclass(frozen=True)
class Web:
    """How patient one is: seconds without a byte, and the pauses between tries (one try more than pauses)."""

    timeout: float = 30
    pauses: tuple[float, ...] = (1, 3)

    def download(self, url: str, target: Path) -> str:
        """Write what is behind the address to a file and return its sha256; each try begins anew."""
        for pause in self.pauses:
            try:
                return self._receive(url, target)
            except UnsteadyError:
                time.sleep(pause)
        try:
            return self._receive(url, target)
        except UnsteadyError as error:
            raise WebError(f"{error} (tried {len(self.pauses) + 1} times)") from error

    def _receive(self, url: str, target: Path) -> str:
        digest, received = hashlib.sha256(), 0
        with self._open(url) as source, target.open("wb") as out:
            announced = source.headers.get("Content-Length")
            while chunk := self._read(source, url, received):
                digest.update(chunk)
                out.write(chunk)
                received += len(chunk)
        # The library ends a read at a closed connection as it does at the end of the file.
        if announced and received != int(announced):
            raise UnsteadyError(f"{url} broke off after {received} of {announced} bytes")
        return digest.hexdigest()

    def _read(self, source: Any, url: str, received: int) -> bytes:
        try:
            return bytes(source.read(CHUNK))
        except TimeoutError as error:
            raise UnsteadyError(
                f"{url} sent nothing for {self.timeout:g} s, after {received} bytes"
            ) from error
        except (OSError, HTTPException) as error:
            raise UnsteadyError(f"{url} broke off after {received} bytes: {error}") from error

    def _open(self, url: str) -> Any:
        """Open an address; the answer's body is read by the caller."""
        here = url
        for _ in range(HOPS):
            try:
                return open_url(here, timeout=self.timeout, follow_redirects="none", decompress=False)
            except HTTPError as error:
                error.close()
                if error.code not in REDIRECTS:
                    raise refusal(url, error) from error
                here = next_hop(url, here, error.url)
            except URLError as error:
                if isinstance(error.reason, SSLCertVerificationError):
                    raise WebError(
                        f"{url} has a certificate that this computer does not trust "
                        f"({error.reason.verify_message}): where a proxy inspects TLS, name its CA in "
                        f"SSL_CERT_FILE"
                    ) from error
                raise UnsteadyError(f"{url} cannot be reached: {error.reason}") from error
            except (OSError, HTTPException) as error:
                raise UnsteadyError(f"{url} cannot be reached: {error or type(error).__name__}") from error
        raise WebError(f"{url} leads in a circle: {HOPS} redirects")


def next_hop(url: str, here: str, there: str) -> str:
    """Return where a redirect leads, unless it gives up what https promised."""
    safe, next_safe = (urlsplit(address).scheme == "https" for address in (here, there))
    if urlsplit(there).scheme not in ("http", "https") or (safe and not next_safe):
        raise WebError(f"{url} leads to {there}, which is not https: not followed")
    return there


def refusal(url: str, error: HTTPError) -> WebError:
    """Return what an answer other than the file means."""
    said = f"{url} answers {error.code} {error.reason}"
    if error.code in GONE:
        return NotThereError(said)
    if error.code >= 500 or error.code in BUSY:
        return UnsteadyError(said)
    if error.code in (401, 403):
        return WebError(f"{said}: where the site wants a login, write it into ~/.netrc (mode 0600)")
    return WebError(said)
