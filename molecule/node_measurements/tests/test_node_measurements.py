"""What only the machine can see is measured by itself, volumes within seconds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.support.waiting import wait_for

DATA = "/var/lib/rancher/k3s"
FOLDER = "/var/lib/metalworks/measurements"
UNIT = "metalworks-measure.service"
HOME = f"{DATA}/storage/pvc-0f9c1b1e-0000-4000-8000-123456789abc_jupyterhub_claim-ada"
LABELS = 'namespace="jupyterhub",persistentvolumeclaim="claim-ada"'
SIZE = re.compile(rf"dirsize_total_size_bytes\{{{LABELS}\}} (\d+)")


def size(host: Any) -> int:
    """The size of the volume as it was last measured; 0 if it was not."""
    found = SIZE.search(host.file(f"{FOLDER}/volumes.prom").content_string)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("name", ["volumes.prom", "metalworks.prom"])
def test_what_is_measured_is_there_for_the_node_exporter(host: Any, name: str) -> None:
    file = host.file(f"{FOLDER}/{name}")
    wait_for(lambda: file.exists, "nothing is measured", 120)
    assert file.mode == 0o644


def test_a_volume_grows_with_its_files(host: Any) -> None:
    with host.sudo():
        host.check_output(f"mkdir -p {HOME}/deep && chmod 700 {HOME}")
        before = wait_for(lambda: size(host), "a new volume is not measured", 60)
        host.check_output(f"dd if=/dev/zero of={HOME}/deep/file bs=1M count=3 status=none")
        grown = before + 3 * 1024**2
        wait_for(lambda: grown <= size(host) <= grown + 1024**2, "the volume does not grow", 60)
        host.check_output(f"rm -r {HOME}")
    wait_for(lambda: not size(host), "a volume that is gone is still measured", 60)


def test_the_end_of_a_certificate_is_told(host: Any) -> None:
    path = f"{DATA}/server/tls/serving.crt"
    with host.sudo():
        host.check_output(f"mkdir -p {DATA}/server/tls")
        host.check_output(
            f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=one -days 3 -keyout /dev/null -out {path}"
        )
        told = host.check_output(f"openssl x509 -enddate -noout -in {path}").partition("=")[2]
        end = host.check_output(f"date --utc +%s --date='{told}'")
        # What changes seldom is measured at the start.
        host.check_output(f"systemctl restart {UNIT}")
        line = f'node_certificate_end_seconds{{file="server/tls/serving.crt"}} {end}'
        measured = host.file(f"{FOLDER}/metalworks.prom")
        wait_for(lambda: line in measured.content_string, "the certificate is not measured", 60)
        host.check_output(f"rm {path}")


def test_it_takes_the_lowest_priority(host: Any) -> None:
    told = host.check_output(f"systemctl show {UNIT} --property Nice,IOSchedulingClass")
    assert "Nice=19" in told
    assert host.service(UNIT).is_enabled
