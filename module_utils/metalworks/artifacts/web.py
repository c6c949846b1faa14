"""Download a file from a web address, whole, or say why that is not possible.

Ansible's open_url honours the computer's proxies, certificates and ~/.netrc. Redirects are followed here
one by one, so that none leads from https to http, and no login is sent to another host.
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

from ..common import certificates
from ..common.files import CHUNK

REDIRECTS = (301, 302, 303, 307, 308)
HOPS = 10
GONE = (404, 410)
BUSY = (408, 425, 429)
CERTIFICATE_FAULTS = {
    "early": "compare this computer's clock with the time",
    "expired": "compare this computer's clock with the time, or tell who runs the site",
    "name": "is the name in the address right?",
    "strict": certificates.STRICT,
}


class WebError(RuntimeError):
    """The file cannot be downloaded; the message holds the address and the reason."""


class NotFoundError(WebError):
    """The site answers that it has nothing at this address."""


class UnsteadyError(WebError):
    """The download failed in a way that another try may mend."""


@dataclass(frozen=True)
class Web:
    """How long to wait for a byte, and the pauses between tries, both in seconds."""

    timeout: float = 30
    pauses: tuple[float, ...] = (1, 3)

    def download(self, url: str, target: Path) -> str:
        """Write the file behind an address to `target` and return its sha256.

        Each try begins from the start.
        """
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
        # A read ends without an error both at the end of the file and when the connection is closed.
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
        """Follow redirects and return the open answer; the caller reads its body."""
        # Its import takes longer than finding something in the cache does, which is the usual case.
        from ansible.module_utils.urls import open_url

        current = url
        for _ in range(HOPS):
            try:
                return open_url(current, timeout=self.timeout, follow_redirects="none", decompress=False)
            except HTTPError as error:
                error.close()
                if error.code not in REDIRECTS:
                    raise refusal(url, error) from error
                current = next_hop(url, current, error.url)
            except URLError as error:
                if isinstance(error.reason, SSLCertVerificationError):
                    said = error.reason.verify_message
                    remedy = CERTIFICATE_FAULTS.get(
                        certificates.fault(said), "where a proxy inspects TLS, name its CA in SSL_CERT_FILE"
                    )
                    raise WebError(
                        f"{url} has a certificate that this computer does not trust ({said}): {remedy}"
                    ) from error
                raise UnsteadyError(f"{url} cannot be reached: {error.reason}") from error
            except (OSError, HTTPException) as error:
                raise UnsteadyError(f"{url} cannot be reached: {error or type(error).__name__}") from error
        raise WebError(f"{url} leads in a circle: {HOPS} redirects")


def next_hop(url: str, source: str, target: str) -> str:
    """Return the target of a redirect; raise WebError if it leads from https to something else."""
    safe, next_safe = (urlsplit(address).scheme == "https" for address in (source, target))
    if urlsplit(target).scheme not in ("http", "https") or (safe and not next_safe):
        raise WebError(f"{url} leads to {target}, which is not https: not followed")
    return target


def refusal(url: str, error: HTTPError) -> WebError:
    """Return the error for an answer that is not the file."""
    answer = f"{url} answers {error.code} {error.reason}"
    if error.code in GONE:
        return NotFoundError(answer)
    if error.code >= 500 or error.code in BUSY:
        return UnsteadyError(answer)
    if error.code in (401, 403):
        return WebError(f"{answer}: where the site wants a login, write it into ~/.netrc (mode 0600)")
    return WebError(answer)
