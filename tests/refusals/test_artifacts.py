"""What the makers' sites do not have, or have otherwise than they say, is refused; no machine is changed."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from module_utils.metalworks.common.architectures import architecture
from playing import ENVIRONMENT, ROOT, Machine, Outcome, play
from tests.targets import mirror

ARCH = architecture(platform.machine())
VERSION = "v1.34.4+k3s1"
RELEASE = f"/k3s-io/k3s/releases/download/{VERSION}"
BINARY = f"{RELEASE}/k3s" if ARCH == "amd64" else f"{RELEASE}/k3s-{ARCH}"
HELM = "v3.22.0"
CHART = "/helm-chart/jupyterhub-4.4.0.tgz"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[mirror.Site]:
    """Releases whose files are small, and a chart repository."""
    (tmp_path / "helm").write_bytes(b"helm" * 100)
    pages = {
        **mirror.k3s_release(VERSION, ARCH, b"k3s" * 100, b"images" * 100),
        **mirror.helm_release(HELM, ARCH, tmp_path / "helm"),
        **mirror.chart_repository({"4.4.0": b"chart" * 100}),
    }
    with mirror.serving(mirror.Site(pages)) as site:
        yield site


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that has nothing of this site yet."""
    monkeypatch.setitem(ENVIRONMENT, "XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "metalworks" / "artifacts"


def overrides(site: mirror.Site, **k3s: str) -> dict[str, Any]:
    release = f"{site.url}/k3s-io/k3s/releases/download/{{version}}"
    files = {
        "k3s": f"{release}/k3s" if ARCH == "amd64" else f"{release}/k3s-{{arch}}",
        "k3s-airgap-images": f"{release}/k3s-airgap-images-{{arch}}.tar.zst",
    }
    sums = f"{release}/sha256sum-{{arch}}.txt"
    return {
        name: {"upstream": {"version": VERSION, "url": url, "checksum_url": sums, **k3s}}
        for name, url in files.items()
    }


def kept(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*") if path.is_file()]


def install(machines: dict[str, Machine], inventory: Path, artifacts: Any) -> Outcome:
    """Make the cluster; what is refused must have changed nothing on a machine."""
    for machine in machines.values():
        machine.run("touch /run/marker")
    chosen = {
        "metalworks_artifact_source": "upstream",
        "metalworks_artifacts": artifacts,
        "metalworks_parts": [],
    }
    outcome = play(ROOT / "playbooks" / "cluster.yml", inventory, **chosen)
    for machine in machines.values():
        assert machine.files_changed_since("/run/marker") == []
    return outcome


@pytest.mark.parametrize(
    ("page", "fault", "says"),
    [
        pytest.param(BINARY, mirror.tampered, "It is not what its makers published", id="tampered"),
        pytest.param(BINARY, mirror.login_page, "It is a web page: a proxy or a login page", id="page"),
        pytest.param(f"{RELEASE}/sha256sum-{ARCH}.txt", mirror.status(404), "answers 404", id="no_checksums"),
        pytest.param(
            f"{RELEASE}/k3s-airgap-images-{ARCH}.tar.zst", mirror.truncated, "broke off after", id="half"
        ),
    ],
)
def test_a_release_that_is_not_whole_is_refused(
    page: str,
    fault: mirror.Fault,
    says: str,
    site: mirror.Site,
    machines: dict[str, Machine],
    inventory: Path,
    cache: Path,
) -> None:
    site.faults[page] = [fault]
    outcome = install(machines, inventory, overrides(site))
    assert outcome.code == 2, outcome.said
    assert says in outcome.said
    assert VERSION in outcome.said
    assert outcome.changed_nothing or "images" in page  # the binary was fetched and is kept
    assert page.rpartition("/")[2] not in kept(cache)


def test_a_version_that_nobody_published_is_refused(
    site: mirror.Site, machines: dict[str, Machine], inventory: Path, cache: Path
) -> None:
    outcome = install(machines, inventory, overrides(site, version="v1.34.99+k3s1"))
    assert outcome.code == 2, outcome.said
    assert "k3s v1.34.99+k3s1 is not there" in outcome.said
    assert "Is it a version that was published?" in outcome.said
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("version", "fault", "says"),
    [
        pytest.param("4.4.1", None, "has no jupyterhub 4.4.1; it has 4.4.0", id="not_in_the_index"),
        pytest.param("4.4.0", mirror.tampered, "It is not what its makers published", id="tampered"),
    ],
)
def test_a_chart_is_refused(
    version: str,
    fault: mirror.Fault | None,
    says: str,
    site: mirror.Site,
    inventory: Path,
    cache: Path,
) -> None:
    if fault:
        site.faults[CHART] = [fault]
    helm = f"{site.url}/helm-{{version}}-{{os}}-{{arch}}.tar.gz"
    artifacts = {
        "helm": {"upstream": {"version": HELM, "url": helm, "checksum_url": f"{helm}.sha256sum"}},
        "jupyterhub-chart": {"upstream": {"version": version, "repository": f"{site.url}/helm-chart/"}},
    }
    chosen = {"metalworks_artifact_source": "upstream", "metalworks_artifacts": artifacts}
    outcome = play(ROOT / "playbooks" / "fetch.yml", inventory, **chosen)
    assert outcome.code == 2, outcome.said
    assert says in outcome.said
    assert set(kept(cache)) == {"helm", "fetched.json"}
