"""What the machines measure themselves: sizes, ends of certificates, snapshots, and how it is written."""

from __future__ import annotations

import base64
import importlib.util
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.measuring import PROGRAMS, measure

spec = importlib.util.spec_from_file_location("measure", PROGRAMS / "measure.py")
assert spec and spec.loader
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

UID = "0f9c1b1e-0000-4000-8000-123456789abc"


def pem(*ends: bytes) -> str:
    """Certificates of which only the two times are there."""
    start = b"\x30\x82serial and issuer\x17\x0d260101000000Z"
    return "".join(
        "-----BEGIN CERTIFICATE-----\n"
        + base64.encodebytes(start + end + b"subject and key").decode()
        + "-----END CERTIFICATE-----\n"
        for end in ends
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of k3s."""
    for folder in ("storage", "server/tls/etcd", "agent", "server/db"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def measured(folder: Path, done: Path) -> Path:
    """Measure the volumes in a folder until this file is there; `rest` is what is run besides."""
    file = folder / "volumes.prom"
    path = f"{folder}:{os.environ['PATH']}"
    measure(done, file, folder / "storage", "touch", folder / "rest", PATH=path)
    return file


def sizes(folder: Path) -> list[str]:
    """What measure.sh says of the volumes in a folder."""
    file = measured(folder, folder / "rest")
    assert file.stat().st_mode & 0o777 == 0o644
    assert not file.with_name("volumes.prom.new").exists()
    return [line for line in file.read_text().splitlines() if not line.startswith("#")]


def volume(data: Path, name: str) -> Path:
    folder = data / "storage" / f"pvc-{UID}_{name}"
    folder.mkdir()
    return folder


def size_of(line: str) -> int:
    return int(line.rpartition(" ")[2])


def test_a_volume_is_measured_with_all_that_is_in_it(data: Path) -> None:
    home = volume(data, "hub_claim-ada.b")
    (home / "deep" / "er").mkdir(parents=True)
    (home / "deep" / "er" / "file").write_bytes(b"x" * 100_000)
    (home / "loop").symlink_to(home)
    for name in (
        "other",
        f"pvc-{UID}",
        f"pvc-{UID}_hub",
        f'pvc-{UID}_hub_cl"aim',
        f"pvc-{UID[1:]}_hub_claim",
    ):
        (data / "storage" / name).mkdir()
    [line] = sizes(data)
    labels = 'namespace="hub",persistentvolumeclaim="claim-ada.b"'
    assert line.startswith(f"dirsize_total_size_bytes{{{labels}}} ")
    assert 100_000 <= size_of(line) <= 200_000


def test_a_file_with_several_names_counts_once(data: Path) -> None:
    home = volume(data, "hub_claim-ada")
    (home / "package").write_bytes(b"x" * 100_000)
    for number in range(9):
        (home / f"link-{number}").hardlink_to(home / "package")
    [line] = sizes(data)
    assert size_of(line) <= 200_000


def program_of(folder: Path, name: str, script: str) -> None:
    """Put a program in the place of the computer's own."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(("takes", "least", "most"), [("0", 5, 100), ("0.4", 40, 599)])
def test_volumes_that_take_long_are_measured_seldom(data: Path, takes: str, least: int, most: int) -> None:
    volume(data, "hub_claim-ada")
    program_of(data, "du", f"/bin/sleep {takes}; echo 4096 there")
    program_of(
        data, "sleep", f'echo "$1" > {data}/written; mv {data}/written {data}/pause; exec /bin/sleep 9'
    )
    measured(data, data / "pause")
    assert least <= int((data / "pause").read_text()) <= most


def test_on_a_full_disk_the_last_sizes_stay(data: Path) -> None:
    volume(data, "hub_claim-ada")
    (data / "volumes.prom").write_text("as they were")
    (data / "volumes.prom.new").symlink_to("/dev/full")
    assert measured(data, data / "rest").read_text() == "as they were"


def test_a_machine_without_volumes_says_so_to_the_node_exporter(data: Path) -> None:
    (data / "storage").rmdir()
    assert sizes(data) == []
    assert "# TYPE dirsize_total_size_bytes gauge" in (data / "volumes.prom").read_text()


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (pem(b"\x17\x0d270203040506Z"), datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (pem(b"\x18\x0f20510203040506Z"), datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (
            pem(b"\x17\x0d350203040506Z", b"\x17\x0d270203040506Z"),
            datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC),
        ),
    ],
    ids=["until_2049", "from_2050_on", "the_first_of_a_chain_to_end"],
)
def test_the_end_of_a_certificate_is_read(text: str, end: datetime) -> None:
    assert program.end_of(text) == end.timestamp()


def test_a_file_without_a_certificate_has_no_end() -> None:
    assert program.end_of("-----BEGIN PRIVATE KEY-----") is None


def test_certificates_of_all_folders_are_named_by_their_place(data: Path) -> None:
    for name in ("server/tls/a.crt", "server/tls/etcd/b.crt", "agent/c.crt", "agent/key.key"):
        (data / name).write_text(pem(b"\x17\x0d270203040506Z"))
    found = [labels["file"] for _, labels, _ in program.certificates(data)]
    assert found == ["server/tls/a.crt", "server/tls/etcd/b.crt", "agent/c.crt"]


def test_the_newest_snapshot_counts(data: Path) -> None:
    (data / "server/db/etcd/member/wal").mkdir(parents=True)
    os.utime(data / "server/db/etcd/member", (500, 500))
    folder = data / "elsewhere"
    folder.mkdir()
    for name, at in (("old", 1000), ("new", 2000)):
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    assert [value for _, _, value in program.snapshots(data, folder)] == [2000]


def test_a_new_cluster_counts_from_its_birth(data: Path) -> None:
    (data / "server/db/etcd/member/wal").mkdir(parents=True)
    os.utime(data / "server/db/etcd/member", (3000, 3000))
    assert [value for _, _, value in program.snapshots(data, data / "server/db/snapshots")] == [3000]


def test_sqlite_and_agents_have_no_snapshots(data: Path) -> None:
    folder = data / "server/db/snapshots"
    assert list(program.snapshots(data, folder)) == []
    # k3s writes this name at every start of a server.
    (data / "server/db/etcd").mkdir()
    (data / "server/db/etcd/name").write_text("metal-1-3f2a")
    assert list(program.snapshots(data, folder)) == []


def test_the_file_is_written_as_a_whole(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "agent/c.crt").write_text(pem(b"\x17\x0d270203040506Z"))
    target = data / "metalworks.prom"
    monkeypatch.setattr(sys, "argv", ["measure.py", str(data), str(target)])
    program.main()
    assert target.read_text().splitlines() == [
        "# HELP node_certificate_end_seconds When a certificate of k3s ends, in seconds since 1970.",
        "# TYPE node_certificate_end_seconds gauge",
        'node_certificate_end_seconds{file="agent/c.crt"} 1801627506',
    ]
    assert [path.name for path in data.glob("metalworks*")] == ["metalworks.prom"]
    assert target.stat().st_mode & 0o777 == 0o644
