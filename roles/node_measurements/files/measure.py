#!/usr/bin/python3
"""Measure what only the machine can see and what changes seldom: ends of certificates, age of snapshots.

The node exporter reads the file (its textfile collector). measure.sh runs this and measures volumes itself.
Python 3.9 and its standard library suffice.
"""

from __future__ import annotations

import argparse
import base64
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
# The two times of a certificate as DER has them: UTCTime, or GeneralizedTime from the year 2050 on.
ENDS = re.compile(rb"\x17\x0d\d{12}Z(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)")
# name, labels, value
Sample = tuple[str, dict[str, str], float]

HELP = {
    "node_certificate_end_seconds": "When a certificate of k3s ends, in seconds since 1970.",
    "node_snapshot_newest_seconds": "When the newest snapshot of etcd was written, in seconds since 1970.",
}


def end_of(text: str) -> float | None:
    """Return when the first certificate of a PEM file to end does so, or None if it holds none."""
    ends = []
    for found in PEM.findall(text):
        times = ENDS.search(base64.b64decode(found))
        if times:
            written = (times[1] or times[2]).decode()
            form = "%y%m%d%H%M%S" if times[1] else "%Y%m%d%H%M%S"
            ends.append(datetime.strptime(written, form).replace(tzinfo=timezone.utc).timestamp())
    return min(ends) if ends else None


def certificates(data: Path) -> Iterator[Sample]:
    """Yield a sample for each certificate of this node."""
    for folder in ("server/tls", "agent"):
        depth = "**/*.crt" if folder == "server/tls" else "*.crt"
        for path in sorted((data / folder).glob(depth)):
            try:
                end = end_of(path.read_text(errors="replace"))
            except OSError:
                continue
            if end is not None:
                yield "node_certificate_end_seconds", {"file": str(path.relative_to(data))}, end


def snapshots(data: Path, folder: Path) -> Iterator[Sample]:
    """Yield when the newest snapshot was written. A new etcd counts from its birth on.

    etcd's log shows that it is used: k3s writes db/etcd/name with sqlite, too.
    """
    member = data / "server/db/etcd/member"
    if (member / "wal").is_dir():
        times = [path.stat().st_mtime for path in (*folder.glob("*"), member) if path.exists()]
        yield "node_snapshot_newest_seconds", {}, max(times)


def written(samples: Iterable[Sample]) -> str:
    """Return samples in the format of Prometheus. No label holds a quote or a backslash."""
    lines: dict[str, list[str]] = {}
    for name, labels, value in samples:
        told = ",".join('{}="{}"'.format(*label) for label in labels.items())
        lines.setdefault(name, []).append(f"{name}{{{told}}} {value:.0f}")
    return "".join(
        f"# HELP {name} {HELP[name]}\n# TYPE {name} gauge\n" + "\n".join(lines[name]) + "\n"
        for name in sorted(lines)
    )


def main() -> None:
    """Measure once, and put the file in its place as a whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the data folder of k3s")
    parser.add_argument("file", type=Path, help="the file that is written")
    parser.add_argument(
        "snapshots", type=Path, nargs="?", help="the folder of etcd's snapshots, if it is watched"
    )
    given = parser.parse_args()
    samples = list(certificates(given.data))
    if given.snapshots:
        samples += snapshots(given.data, given.snapshots)
    beside = given.file.with_suffix(".new")
    beside.write_text(written(samples))
    beside.chmod(0o644)
    beside.replace(given.file)


if __name__ == "__main__":
    main()
