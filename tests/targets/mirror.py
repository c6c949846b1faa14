#!/usr/bin/env python3
"""A web site with the layout of those that artifacts.yml names, for tests that must not need the internet.

As a library: `Site(pages)` serves files, and misbehaves where `faults` says so.
As a program: serves what the lab built under the paths of the k3s release, of helm and of a chart repository.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import platform
import shutil
import ssl
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import yaml
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from module_utils.metalworks.common.architectures import architecture
from tests.support.artifacts import built
from tests.support.servers import Silent, running

ROOT = Path(__file__).resolve().parents[2]
Page = bytes | Path
Fault = Callable[["Visit", bytes], None]


class Visit(Silent):
    """One request."""

    server: Site

    def do_GET(self) -> None:
        path = unquote(self.path)
        self.server.asked[path] += 1
        page = self.server.pages.get(path)
        faults = self.server.faults.get(path, [])
        with suppress(BrokenPipeError, ConnectionResetError):  # the client gave up, as some tests intend
            if faults:
                # Each fault counts for one request; the last one counts for all further requests.
                fault = faults.pop(0) if len(faults) > 1 else faults[0]
                fault(self, read(page) if page is not None else b"")
            elif page is None:
                self.answer(404, b"not found\n")
            else:
                self.answer(200, page)

    def answer(self, code: int, page: Page, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        size = page.stat().st_size if isinstance(page, Path) else len(page)
        self.send_header("Content-Length", str(size if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if isinstance(page, Path):
            with page.open("rb") as stream:
                shutil.copyfileobj(stream, self.wfile, 1 << 20)
        else:
            self.wfile.write(page)


def read(page: Page) -> bytes:
    return page.read_bytes() if isinstance(page, Path) else page


# The faults.


def good(visit: Visit, page: bytes) -> None:
    visit.answer(200, page)


def status(code: int) -> Fault:
    return lambda visit, page: visit.answer(code, b"no\n")


def leads_to(address: str, code: int = 302) -> Fault:
    return lambda visit, page: visit.answer(code, b"", Location=address)


def truncated(visit: Visit, page: bytes) -> None:
    visit.answer(200, page[: len(page) // 2], length=len(page))
    visit.close_connection = True


def tampered(visit: Visit, page: bytes) -> None:
    visit.answer(200, page[:-1] + bytes([page[-1] ^ 1]))


def login_page(visit: Visit, page: bytes) -> None:
    visit.answer(200, b"\n<!DOCTYPE html><html><body>Log in to the network</body></html>")


def stalled(visit: Visit, page: bytes) -> None:
    """Half of it, then silence until the site closes."""
    visit.send_response(200)
    visit.send_header("Content-Length", str(len(page)))
    visit.end_headers()
    visit.wfile.write(page[: len(page) // 2])
    visit.server.closing.wait()


def slow(visit: Visit, page: bytes) -> None:
    """All of it, in pieces with pauses: half a second and more."""
    visit.send_response(200)
    visit.send_header("Content-Length", str(len(page)))
    visit.end_headers()
    for start in range(0, len(page), max(1, len(page) // 10)):
        visit.wfile.write(page[start : start + max(1, len(page) // 10)])
        visit.server.closing.wait(0.05)


class Site(ThreadingHTTPServer):
    """Serves pages by path and counts how often each was asked for."""

    daemon_threads = True

    def __init__(
        self,
        pages: Mapping[str, Page],
        address: tuple[str, int] = ("127.0.0.1", 0),
        certificate: Path | None = None,
    ) -> None:
        super().__init__(address, Visit)
        self.pages = dict(pages)
        self.faults: dict[str, list[Fault]] = {}
        self.asked: Counter[str] = Counter()
        self.closing = threading.Event()
        self.url = f"http{'s' if certificate else ''}://{address[0]}:{self.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    with running(site):
        try:
            yield site
        finally:
            site.closing.set()


# The layout of the makers' sites.


def sums(files: Mapping[str, Page]) -> bytes:
    """What sha256sum prints of these files."""
    return "".join(f"{sha256(page)}  {name}\n" for name, page in files.items()).encode()


def sha256(page: Page) -> str:
    if isinstance(page, bytes):
        return hashlib.sha256(page).hexdigest()
    with page.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def packed(members: Mapping[str, Path]) -> bytes:
    """A .tar.gz with these members: the same bytes at each call, and fast rather than small."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in members.items():
            tar.add(path, name)
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


def k3s_release(version: str, arch: str, binary: Page, images: Page) -> dict[str, Page]:
    """The files of a release: the binary has its architecture in the name except for amd64."""
    files: dict[str, Page] = {
        "k3s" if arch == "amd64" else f"k3s-{arch}": binary,
        f"k3s-airgap-images-{arch}.tar.zst": images,
    }
    files[f"sha256sum-{arch}.txt"] = sums(files)
    return {f"/k3s-io/k3s/releases/download/{version}/{name}": page for name, page in files.items()}


def helm_release(version: str, arch: str, binary: Path) -> dict[str, Page]:
    name = f"helm-{version}-linux-{arch}.tar.gz"
    archive = packed({f"linux-{arch}/helm": binary})
    return {f"/{name}": archive, f"/{name}.sha256sum": sums({name: archive})}


def chart_repository(archives: Mapping[str, bytes], name: str = "jupyterhub") -> dict[str, Page]:
    """A repository with these versions of one chart; addresses in the index are relative."""
    entries = [
        {
            "apiVersion": "v2",
            "name": name,
            "version": version,
            "urls": [f"{name}-{version}.tgz"],
            "digest": sha256(archive),
        }
        for version, archive in archives.items()
    ]
    index = yaml.safe_dump({"apiVersion": "v1", "entries": {name: entries}}).encode()
    files = {f"/helm-chart/{name}-{version}.tgz": archive for version, archive in archives.items()}
    return {"/helm-chart/index.yaml": index, **files}


def the_labs_pages(arch: str) -> dict[str, Page]:
    """Everything that a platform fetches, except images."""
    found = built("k3s", "k3s-airgap-images", "helm")
    chart = packed({"jupyterhub": ROOT / "lab" / "charts" / "jupyterhub"})
    version = yaml.safe_load((ROOT / "lab" / "charts" / "jupyterhub" / "Chart.yaml").read_text())["version"]
    return {
        **k3s_release(
            found["k3s"]["version"],
            arch,
            Path(found["k3s"]["path"]),
            zstandard.compress(Path(found["k3s-airgap-images"]["path"]).read_bytes(), 1),
        ),
        **helm_release(found["helm"]["version"], arch, Path(found["helm"]["path"])),
        **chart_repository({version: chart}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=8480)
    parser.add_argument("--state", type=Path, help="a folder for mirror.pid and mirror.key")
    asked = parser.parse_args()
    pages = the_labs_pages(architecture(platform.machine()))
    # Fetched files are cached by their address, so another content needs another address.
    key = sha256(sums(pages))[:8]
    site = Site({f"/{key}{path}": page for path, page in pages.items()}, ("127.0.0.1", asked.port))
    if asked.state:
        (asked.state / "mirror.pid").write_text(f"{os.getpid()}\n")
        (asked.state / "mirror.key").write_text(key)
    print(f"{site.url} serves\n" + "\n".join(f"  {path}" for path in site.pages), flush=True)
    with suppress(KeyboardInterrupt):
        site.serve_forever()


if __name__ == "__main__":
    main()
