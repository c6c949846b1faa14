"""What is fetched is verified, kept, and fetched once; what cannot be had says why. Over real HTTP."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import Any
from unittest import mock
from urllib.error import URLError

import ansible.module_utils.urls
import pytest
from cryptography import x509
from module_utils.metalworks.artifacts.catalogue import CatalogueError, Upstream, parse_artifact
from module_utils.metalworks.artifacts.fetch import Fetched, FetchError, fetch
from module_utils.metalworks.artifacts.web import Web, WebError
from tests.support.certificates import self_signed
from tests.targets import mirror

CONTENT = b"#!/bin/sh\necho thing 1.0\n" * 10
WEB = Web(timeout=60, pauses=(0,))
# Gives up on a silent site at once. A busy computer may be silent for so long, too: it is asked again.
HASTY = Web(timeout=0.3, pauses=(0,) * 30)


@pytest.fixture
def site() -> Iterator[mirror.Site]:
    """A site with one thing and its checksum."""
    with mirror.serving(
        mirror.Site({"/1.0/thing": CONTENT, "/1.0/sums": mirror.sums({"other": b"x", "thing": CONTENT})})
    ) as site:
        yield site


def get(cache: Path, site: mirror.Site, kind: str = "binary", web: Web = WEB, **upstream: Any) -> Fetched:
    """Fetch what the site has, as the catalogue would name it."""
    where = {"url": f"{site.url}/{{version}}/thing", "checksum_url": f"{site.url}/{{version}}/sums"}
    entry = {"kind": kind, "licence": "MIT", "upstream": {"version": "1.0", **where, **upstream}}
    artifact = parse_artifact("thing", entry)
    return fetch(artifact, artifact.published("amd64"), cache, web)


def kept(cache: Path) -> list[Path]:
    """What lies in the cache beside locks."""
    return [path for path in (cache / "artifacts").rglob("*") if path.is_file()]


# The good way.


def test_a_file_is_fetched_once_and_can_be_executed(site: mirror.Site, tmp_path: Path) -> None:
    first, again = get(tmp_path, site), get(tmp_path, site)
    assert (first.changed, again.changed) == (True, False)
    assert first.path == again.path
    assert first.path.read_bytes() == CONTENT
    assert first.path.stat().st_mode & 0o111
    assert site.asked == {"/1.0/thing": 1, "/1.0/sums": 1}


def test_a_pinned_checksum_asks_for_no_other(site: mirror.Site, tmp_path: Path) -> None:
    get(tmp_path, site, sha256=mirror.sha256(CONTENT))
    assert site.asked == {"/1.0/thing": 1}


def test_two_runs_at_once_fetch_once(site: mirror.Site, tmp_path: Path) -> None:
    site.faults["/1.0/thing"] = [mirror.slow]
    found: list[Fetched] = []
    runs = [threading.Thread(target=lambda: found.append(get(tmp_path, site))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(each.changed for each in found) == [False, True]
    assert site.asked["/1.0/thing"] == 1


def test_a_slow_site_is_waited_for(site: mirror.Site, tmp_path: Path) -> None:
    site.faults["/1.0/thing"] = [mirror.slow]  # longer than the time-out, but never silent for so long
    assert get(tmp_path, site, web=HASTY).path.read_bytes() == CONTENT


def test_a_silent_site_is_asked_again(site: mirror.Site, tmp_path: Path) -> None:
    site.faults["/1.0/thing"] = [mirror.stalled, mirror.good]
    assert get(tmp_path, site, web=HASTY).path.read_bytes() == CONTENT
    assert site.asked["/1.0/thing"] >= 2


def test_a_site_that_stays_silent_is_named(
    site: mirror.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HTTPResponse, "read", mock.Mock(side_effect=TimeoutError))
    with pytest.raises(
        FetchError, match=r"thing 1\.0.*sent nothing for 60 s, after 0 bytes \(tried 2 times\)"
    ):
        get(tmp_path, site, sha256=mirror.sha256(CONTENT))
    assert site.asked["/1.0/thing"] == 2
    assert kept(tmp_path) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(site: mirror.Site, tmp_path: Path) -> None:
    get(tmp_path, site).path.write_bytes(b"half")
    assert get(tmp_path, site).path.read_bytes() == CONTENT


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"file": 1, "sha256": ""}', "\x00\xff"])
def test_a_damaged_note_in_the_cache_is_as_none(site: mirror.Site, tmp_path: Path, text: str) -> None:
    note = get(tmp_path, site).path.parent / "fetched.json"
    note.write_bytes(text.encode("latin-1"))
    assert [get(tmp_path, site).changed for _ in range(2)] == [True, False]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(site: mirror.Site, tmp_path: Path, code: int) -> None:
    site.pages["/elsewhere"] = CONTENT
    site.faults["/1.0/thing"] = [mirror.leads_to("/elsewhere", code)]
    found = get(tmp_path, site)
    assert (found.path.name, found.path.read_bytes()) == ("thing", CONTENT)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{sum}  thing\n", id="what_sha256sum_prints"),
        pytest.param("{sum} *thing\r\n", id="binary_mode"),
        pytest.param("{sum}  ./dist/thing\n", id="a_path_before_the_name"),
        pytest.param("{sum}\n", id="the_sum_alone"),
    ],
)
def test_a_checksum_file_may_look_like(site: mirror.Site, tmp_path: Path, text: str) -> None:
    site.pages["/1.0/sums"] = text.format(sum=mirror.sha256(CONTENT)).encode()
    assert get(tmp_path, site).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fault",
    [mirror.truncated, mirror.status(503), mirror.status(429)],
    ids=["truncated", "unavailable", "too_many"],
)
def test_what_goes_wrong_once_is_tried_again_from_the_start(
    site: mirror.Site, tmp_path: Path, fault: mirror.Fault
) -> None:
    site.faults["/1.0/thing"] = [fault, mirror.good]
    assert get(tmp_path, site).path.read_bytes() == CONTENT
    assert site.asked["/1.0/thing"] == 2


# By the computer's own settings.


def test_a_proxy_of_the_computer_is_asked(
    site: mirror.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.setenv("no_proxy", "")
    address = "http://files.example/1.0/thing"  # a name that nobody has
    site.pages[address] = CONTENT
    assert get(tmp_path, site, url=address, sha256=mirror.sha256(CONTENT)).path.read_bytes() == CONTENT


def test_a_login_comes_from_netrc_and_is_not_handed_on(
    site: mirror.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ada password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    seen: list[str | None] = []

    def elsewhere(visit: mirror.Visit, page: bytes) -> None:
        seen.append(visit.headers["Authorization"])
        mirror.leads_to(f"http://localhost:{site.server_port}/elsewhere")(visit, page)

    def there(visit: mirror.Visit, page: bytes) -> None:
        seen.append(visit.headers["Authorization"])
        visit.answer(200, CONTENT)

    site.faults = {"/1.0/thing": [elsewhere], "/elsewhere": [there]}
    assert get(tmp_path / "cache", site).path.read_bytes() == CONTENT
    assert seen == ["Basic YWRhOnMzY3JldA==", None]


# What can go wrong.

ONCE, AGAIN = 1, 2
SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("page", "fault", "asked", "says"),
    [
        pytest.param("thing", mirror.tampered, ONCE, "It is not what its makers published", id="tampered"),
        pytest.param(
            "thing", mirror.login_page, ONCE, "It is a web page: a proxy or a login page", id="page"
        ),
        pytest.param("thing", mirror.truncated, AGAIN, f"after {SIZE // 2} of {SIZE} bytes", id="truncated"),
        pytest.param("thing", mirror.status(500), AGAIN, "answers 500", id="broken_site"),
        pytest.param("thing", mirror.status(404), ONCE, "thing 1.0 is not there", id="no_such_version"),
        pytest.param("thing", mirror.status(403), ONCE, "write it into ~/.netrc", id="login_wanted"),
        pytest.param("thing", mirror.leads_to("/1.0/thing"), 10, "leads in a circle", id="circle"),
        pytest.param("thing", mirror.leads_to("file:///etc/passwd"), ONCE, "not followed", id="to_a_file"),
        pytest.param("sums", mirror.status(404), ONCE, "sums answers 404", id="no_checksums"),
        pytest.param("sums", mirror.login_page, ONCE, "sums is a web page", id="page_for_checksums"),
        pytest.param("sums", mirror.tampered, ONCE, "no line for thing", id="checksums_without_it"),
    ],
)
def test_what_cannot_be_had_says_why_and_leaves_nothing(
    site: mirror.Site, tmp_path: Path, page: str, fault: mirror.Fault, asked: int, says: str
) -> None:
    site.faults[f"/1.0/{page}"] = [fault]
    if says == "no line for thing":
        site.pages["/1.0/sums"] = mirror.sums({"others": CONTENT})
    with pytest.raises(FetchError) as error:
        get(tmp_path, site)
    assert says in str(error.value)
    assert "thing 1.0" in str(error.value)
    assert site.asked[f"/1.0/{page}"] == asked
    assert kept(tmp_path) == []


def test_a_site_that_does_not_answer_is_named(tmp_path: Path) -> None:
    silent = mirror.Site({})
    silent.server_close()
    with pytest.raises(FetchError, match=r"cannot be reached: .*refused.*tried 2 times.*name a mirror"):
        get(tmp_path, silent)


def test_what_was_there_stays_when_another_version_fails(site: mirror.Site, tmp_path: Path) -> None:
    first = get(tmp_path, site)
    with pytest.raises(FetchError, match=r"thing 9\.9 is not there.*answers 404.*upstream: {version"):
        get(tmp_path, site, version="9.9")
    assert first.path.read_bytes() == CONTENT
    assert get(tmp_path, site).changed is False


def test_what_cannot_be_verified_is_refused_before_it_is_fetched(site: mirror.Site, tmp_path: Path) -> None:
    what = Upstream("1.0", url=f"{site.url}/1.0/thing")
    artifact = parse_artifact(
        "thing", {"kind": "binary", "licence": "MIT", "build": {"version": 1, "recipe": "x"}}
    )
    with pytest.raises(CatalogueError, match="neither sha256 nor checksum_url"):
        fetch(artifact, what, tmp_path, WEB)
    assert not site.asked


# https.


@pytest.fixture
def safe_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mirror.Site]:
    """A site whose certificate this process trusts."""
    certificate = self_signed(tmp_path / "site.pem", x509.DNSName("localhost"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    pages = {"/1.0/thing": CONTENT, "/1.0/sums": mirror.sums({"thing": CONTENT})}
    with mirror.serving(mirror.Site(pages, ("localhost", 0), certificate)) as site:
        yield site


def test_https_is_fetched(safe_site: mirror.Site, tmp_path: Path) -> None:
    assert get(tmp_path / "cache", safe_site).path.read_bytes() == CONTENT


def test_https_that_leads_to_http_is_not_followed(
    safe_site: mirror.Site, site: mirror.Site, tmp_path: Path
) -> None:
    safe_site.faults["/1.0/thing"] = [mirror.leads_to(f"{site.url}/1.0/thing")]
    with pytest.raises(FetchError, match="which is not https: not followed"):
        get(tmp_path / "cache", safe_site)
    assert not site.asked


def test_a_certificate_that_is_not_trusted_is_named(
    safe_site: mirror.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchError, match=r"does not trust.*self-signed.*SSL_CERT_FILE"):
        get(tmp_path / "cache", safe_site)


def test_what_is_wrong_with_a_certificate_is_not_always_its_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = SSLCertVerificationError("certificate verify failed")
    fault.verify_message = "Hostname mismatch, certificate is not valid for 'files.example'."

    def refuse(*_: Any, **__: Any) -> None:
        raise URLError(fault)

    monkeypatch.setattr(ansible.module_utils.urls, "open_url", refuse)
    with pytest.raises(WebError, match="is the name in the address right") as error:
        Web(pauses=()).download("https://files.example/a", tmp_path / "a")
    assert "SSL_CERT_FILE" not in str(error.value)


# Archives.


def archive(member: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(CONTENT)
        tar.addfile(entry, io.BytesIO(CONTENT))
    return buffer.getvalue()


def test_one_file_is_taken_out_of_an_archive(site: mirror.Site, tmp_path: Path) -> None:
    site.pages["/1.0/thing"] = packed = archive("linux-amd64/helm")
    found = get(tmp_path, site, sha256=mirror.sha256(packed), member="{os}-{arch}/helm")
    assert (found.path.name, found.path.read_bytes()) == ("helm", CONTENT)
    assert found.sha256 == mirror.sha256(CONTENT)
    assert sorted(path.name for path in kept(tmp_path)) == ["fetched.json", "helm"]


def test_an_archive_without_the_file_is_refused(site: mirror.Site, tmp_path: Path) -> None:
    site.pages["/1.0/thing"] = packed = archive("windows-amd64/helm.exe")
    with pytest.raises(FetchError, match="holds no file linux-amd64/helm"):
        get(tmp_path, site, sha256=mirror.sha256(packed), member="{os}-{arch}/helm")
    assert kept(tmp_path) == []


@pytest.mark.parametrize("size", [0, 10, 60], ids=["nothing", "no_header", "half"])
def test_what_is_no_archive_is_named(site: mirror.Site, tmp_path: Path, size: int) -> None:
    site.pages["/1.0/thing"] = packed = archive("linux-amd64/helm")[:size]
    with pytest.raises(
        FetchError, match=r"thing 1\.0: thing is no whole archive, so linux-amd64/helm.*member: \"\""
    ):
        get(tmp_path, site, sha256=mirror.sha256(packed), member="{os}-{arch}/helm")
    assert kept(tmp_path) == []


def test_a_program_that_is_no_archive_is_taken_as_it_is(site: mirror.Site, tmp_path: Path) -> None:
    assert get(tmp_path, site, member="").path.read_bytes() == CONTENT


# Charts.

CHARTS = {"4.3.0": b"chart 4.3.0", "4.4.0": b"chart 4.4.0"}


@pytest.fixture
def charts() -> Iterator[mirror.Site]:
    with mirror.serving(mirror.Site(mirror.chart_repository(CHARTS))) as site:
        yield site


def chart(cache: Path, site: mirror.Site, **upstream: Any) -> Fetched:
    where = {"version": "4.4.0", "repository": f"{site.url}/helm-chart/", "chart": "jupyterhub"}
    artifact = parse_artifact("hub", {"kind": "chart", "licence": "MIT", "upstream": {**where, **upstream}})
    return fetch(artifact, artifact.published("amd64"), cache, WEB)


def test_a_chart_is_found_in_the_index_and_fetched_once(charts: mirror.Site, tmp_path: Path) -> None:
    first, again = chart(tmp_path, charts), chart(tmp_path, charts)
    assert (first.path.name, first.path.read_bytes()) == ("jupyterhub-4.4.0.tgz", CHARTS["4.4.0"])
    assert first.sha256 == mirror.sha256(CHARTS["4.4.0"])
    assert (first.changed, again.changed) == (True, False)
    assert charts.asked == {"/helm-chart/index.yaml": 1, "/helm-chart/jupyterhub-4.4.0.tgz": 1}


def test_a_repository_may_be_written_without_its_last_slash(charts: mirror.Site, tmp_path: Path) -> None:
    assert chart(tmp_path, charts, repository=f"{charts.url}/helm-chart").changed


def test_an_index_may_name_another_site(charts: mirror.Site, site: mirror.Site, tmp_path: Path) -> None:
    index = mirror.read(charts.pages["/helm-chart/index.yaml"])
    charts.pages["/helm-chart/index.yaml"] = index.replace(
        b"jupyterhub-4.4.0.tgz", f"{site.url}/x/jupyterhub-4.4.0.tgz".encode()
    )
    site.pages["/x/jupyterhub-4.4.0.tgz"] = CHARTS["4.4.0"]
    assert chart(tmp_path, charts).path.read_bytes() == CHARTS["4.4.0"]


@pytest.mark.parametrize(
    ("index", "given", "says"),
    [
        pytest.param(
            None, {"version": "4.4.1"}, "has no jupyterhub 4.4.1; it has 4.4.0, 4.3.0", id="version"
        ),
        pytest.param(None, {"chart": "jupiterhub"}, "has no chart jupiterhub; it has jupyterhub", id="chart"),
        pytest.param(None, {"sha256": "0" * 64}, f"should have {'0' * 64}", id="another_than_pinned"),
        pytest.param(b"entries: [", {}, "is not the index of a chart repository", id="no_yaml"),
        pytest.param(b"- jupyterhub", {}, "is not the index of a chart repository", id="no_index"),
        pytest.param(
            b"entries: {jupyterhub: [{version: 4.4.0, urls: [a.tgz]}]}", {}, "no digest for", id="no_digest"
        ),
        pytest.param(
            b"entries: {jupyterhub: [{version: 4.4.0, digest: '00'}]}", {}, "no address for", id="no_address"
        ),
    ],
)
def test_a_chart_that_cannot_be_had_says_why(
    charts: mirror.Site, tmp_path: Path, index: bytes | None, given: dict[str, str], says: str
) -> None:
    if index is not None:
        charts.pages["/helm-chart/index.yaml"] = index
    with pytest.raises(FetchError) as error:
        chart(tmp_path, charts, **given)
    assert says in str(error.value)
    assert kept(tmp_path) == []


def test_a_tampered_chart_is_refused(charts: mirror.Site, tmp_path: Path) -> None:
    charts.faults["/helm-chart/jupyterhub-4.4.0.tgz"] = [mirror.tampered]
    with pytest.raises(FetchError, match=r"hub 4\.4\.0: .*not installed"):
        chart(tmp_path, charts)
    assert kept(tmp_path) == []
