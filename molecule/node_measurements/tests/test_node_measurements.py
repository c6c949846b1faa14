"""What only the machine can see is measured by its timer, and again after a boot."""

from __future__ import annotations

import re
from typing import Any

from tests.support.waiting import wait_for

DATA = "/var/lib/rancher/k3s"
FILE = "/var/lib/metalworks/measurements/metalworks.prom"
UNIT = "metalworks-measure"
HOME = f"{DATA}/storage/pvc-0f9c1b1e-0000-4000-8000-123456789abc_jupyterhub_claim-ada"
LABELS = 'namespace="jupyterhub",persistentvolumeclaim="claim-ada"'
SIZE = re.compile(rf"dirsize_total_size_bytes\{{{LABELS}\}} (\d+)")


def measured(host: Any) -> str:
    """The file, after one more measurement."""
    with host.sudo():
        host.check_output(f"systemctl start {UNIT}.service")
        return str(host.file(FILE).content_string)


def size(host: Any) -> int:
    """The size of the volume as it was measured."""
    found = SIZE.search(measured(host))
    assert found, host.file(FILE).content_string
    return int(found[1])


def test_the_timer_measures_by_itself(host: Any) -> None:
    wait_for(lambda: host.file(FILE).exists, "nothing is measured", 120)
    assert host.file(FILE).mode == 0o644


def test_a_volume_grows_with_its_files(host: Any) -> None:
    with host.sudo():
        host.check_output(f"mkdir -p {HOME}/deep && chmod 700 {HOME}")
        before = size(host)
        host.check_output(f"dd if=/dev/zero of={HOME}/deep/file bs=1M count=3 status=none")
        assert 3 * 1024**2 <= size(host) - before <= 4 * 1024**2
        host.check_output(f"rm -r {HOME}")
        assert not SIZE.search(measured(host))


def test_the_end_of_a_certificate_is_told(host: Any) -> None:
    path = f"{DATA}/server/tls/serving.crt"
    with host.sudo():
        host.check_output(f"mkdir -p {DATA}/server/tls")
        host.check_output(
            f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=one -days 3 -keyout /dev/null -out {path}"
        )
        told = host.check_output(f"openssl x509 -enddate -noout -in {path}").partition("=")[2]
        end = host.check_output(f"date --utc +%s --date='{told}'")
        assert f'node_certificate_end_seconds{{file="server/tls/serving.crt"}} {end}' in measured(host)
        host.check_output(f"rm {path}")


def test_it_takes_the_lowest_priority(host: Any) -> None:
    told = host.check_output(f"systemctl show {UNIT}.service --property Nice,IOSchedulingClass")
    assert "Nice=19" in told
    assert host.service(f"{UNIT}.timer").is_enabled
