"""The real node exporter, with the role's arguments, serves what is kept of it, and what machines measure."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from ansible.module_utils.metalworks.monitoring.parts import kept
from tests.support.artifacts import built_path
from tests.support.measuring import PROGRAMS, measure
from tests.support.monitoring_values import values
from tests.support.servers import free_port, started

HOST = "/host/root"
VOLUME = "pvc-0f9c1b1e-0000-4000-8000-123456789abc_hub_claim-ada"
# Only a machine with certificates and etcd has them; this computer may have no disk of its own.
ABSENT = {"node_certificate_end_seconds", "node_snapshot_newest_seconds", "node_disk_io_time_seconds_total"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What it serves, where one volume was measured."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "data" / "storage" / VOLUME).mkdir(parents=True)
    given = values()["prometheus-node-exporter"]["extraArgs"]
    [textfiles] = [each for each in given if each.startswith("--collector.textfile.directory=")]
    place = folder / Path(textfiles.partition("=")[2]).relative_to(HOST)
    place.mkdir(parents=True)
    rest = [sys.executable, PROGRAMS / "measure.py", folder / "data", place / "metalworks.prom"]
    measure(place / "metalworks.prom", place / "volumes.prom", folder / "data/storage", *rest)
    address = f"127.0.0.1:{free_port()}"
    arguments = [each.replace(HOST, str(folder)) for each in given]
    command = [str(built_path("node-exporter")), f"--web.listen-address={address}", *arguments]
    url = f"http://{address}/metrics"
    with started(command, url, stderr=subprocess.DEVNULL):
        yield requests.get(url, timeout=10).text


def test_all_that_is_kept_is_served(served: str) -> None:
    names = set(re.findall(r"^([a-zA-Z_]\w*)", served, re.MULTILINE))
    assert set(kept("node")) - names <= ABSENT


def test_most_is_not_kept(served: str) -> None:
    series = [re.match(r"\w+", line) for line in served.splitlines() if not line.startswith("#")]
    named = [found[0] for found in series if found]
    wanted = set(kept("node"))
    left = [name for name in named if name in wanted]
    print(f"{len(left)} of {len(named)} series are kept")
    assert 10 < len(left) < len(named) / 2


def test_what_the_machine_measured_is_served(served: str) -> None:
    labels = 'namespace="hub",persistentvolumeclaim="claim-ada"'
    assert f"dirsize_total_size_bytes{{{labels}}} " in served
    assert re.search(r'node_textfile_mtime_seconds\{file="[^"]*metalworks\.prom"\}', served)
    assert "node_textfile_scrape_error 0" in served
