"""Compare the images of a node with wanted ones by their digests, and import what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..common.architectures import architecture
from ..common.run import NOT_FOUND, Run
from ..images.record import Blob, Record
from ..k3s.unit import BINARY

# The whole path: the sudo of Enterprise Linux does not search /usr/local/bin.
CTR = [BINARY, "ctr", "--namespace", "k8s.io"]
PINNED = "io.cri-containerd.pinned=pinned"  # the kubelet's garbage collection keeps such images


class NodeError(RuntimeError):
    """The node cannot take images; the message says why and what to do."""


@dataclass(frozen=True)
class Found:
    """The images and blobs in a node's containerd."""

    digests: frozenset[str]  # of all blobs
    images: dict[str, str]  # name -> digest of the manifest
    pinned: frozenset[str]


NOTHING = Found(frozenset(), {}, frozenset())


@dataclass(frozen=True)
class Plan:
    """The steps on a node: images to import, names to pin, blobs to send."""

    deliver: tuple[Record, ...]
    pin: tuple[str, ...]
    lacking: tuple[Blob, ...]  # each blob once, even if several images share it

    @property
    def changed(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.deliver or self.pin)

    @property
    def bytes(self) -> int:
        """Return how many bytes have to be sent."""
        return sum(blob.size for blob in self.lacking)


def refuse_foreign(architectures: Mapping[str, str], machine: str) -> None:
    """Raise NodeError for images of another architecture. `machine` is the name in `uname -m`."""
    own = architecture(machine)
    foreign = [f"{reference} ({kind})" for reference, kind in architectures.items() if kind not in ("", own)]
    if foreign:
        raise NodeError(
            f"this node is {own}, and {', '.join(foreign)} cannot run on it: images are built for the kind "
            f"of computer that Ansible runs on. Run it on one that is {own}, or let metalworks_notebooks "
            "name images that are published for both"
        )


def read(run: Run) -> Found:
    """Return what containerd has; NodeError if it cannot be asked."""
    blobs = ctr(run, "content", "ls", "--quiet")
    return parse(blobs, ctr(run, "images", "ls"))


def parse(blobs: str, images: str) -> Found:
    """Return what the outputs of `ctr content ls` and `ctr images ls` say."""
    rows = [line.split() for line in images.splitlines()[1:] if line.strip()]
    pinned = frozenset(row[0] for row in rows if PINNED in row[-1].split(","))
    return Found(frozenset(blobs.split()), {row[0]: row[2] for row in rows}, pinned)


def plan(wanted: Iterable[Record], found: Found) -> Plan:
    """Return the steps. An image is complete if its name has the wanted manifest and no blob is missing."""
    records = list(wanted)
    deliver = tuple(record for record in records if not is_there(record, found))
    blobs = {blob.digest: blob for record in deliver for blob in record.blobs}
    lacking = {digest: blob for digest, blob in blobs.items() if digest not in found.digests}
    pin = tuple(
        record.reference for record in records if record in deliver or record.reference not in found.pinned
    )
    return Plan(deliver, pin, tuple(lacking.values()))


def is_there(record: Record, found: Found) -> bool:
    """Return whether a node has an image with all its blobs."""
    return found.images.get(record.reference) == record.manifest_digest and all(
        blob.digest in found.digests for blob in record.blobs
    )


def apply(run: Run, steps: Plan, archive: str) -> None:
    """Import the archive and pin the images. containerd verifies the digest of each blob it imports."""
    if steps.deliver:
        ctr(run, "images", "import", archive)
    for reference in steps.pin:
        ctr(run, "images", "label", reference, PINNED)


def ctr(run: Run, *arguments: str) -> str:
    """Run k3s's containerd client and return its output; NodeError explains a failure."""
    code, out, err = run([*CTR, *arguments])
    if code == NOT_FOUND:
        raise NodeError("k3s is not installed on this node: run playbooks/cluster.yml first")
    if code != 0:
        last = (err.strip() or out.strip()).splitlines()[-1:] or ["it says nothing"]
        if "containerd.sock" in last[0] or "connection refused" in last[0]:
            raise NodeError(
                f"k3s does not run on this node, so its containerd takes no images: "
                f"systemctl status k3s k3s-agent. It says: {last[0]}"
            )
        raise NodeError(f"containerd could not do `{' '.join(arguments[:2])}`: {last[0]}")
    return out


def report(records: Iterable[Record], found: Found, steps: Plan) -> list[dict[str, object]]:
    """Return an entry for each image. The bytes of a shared layer count for the first image that has it."""
    left = {blob.digest: blob.size for blob in steps.lacking}
    return [
        {
            "reference": record.reference,
            "digest": record.manifest_digest,
            "present": is_there(record, found),
            "sent": record in steps.deliver,
            "bytes": sum(left.pop(blob.digest, 0) for blob in record.blobs),
        }
        for record in records
    ]
