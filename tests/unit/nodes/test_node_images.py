"""A node gets the blobs that it lacks, each once, and keeps what it has."""

from __future__ import annotations

from typing import Any

import pytest
from module_utils.metalworks.images.record import Blob, Record
from module_utils.metalworks.node.images import (
    Found,
    NodeError,
    Plan,
    apply,
    parse,
    plan,
    read,
    refuse_foreign,
    report,
)
from tests.support.modules import cases

TYPE = "application/vnd.oci.image.manifest.v1+json"
MANAGED, PINNED = "io.cri-containerd.image=managed", "io.cri-containerd.pinned=pinned"
IMAGES_LS = f"""\
REF         TYPE    DIGEST     SIZE     PLATFORMS   LABELS
r/one:1     {TYPE}  sha256:m1  1.9 MiB  linux/amd64 {MANAGED},{PINNED}
r/two:1     {TYPE}  sha256:m2  1.9 MiB  linux/amd64 {MANAGED}
sha256:c1   {TYPE}  sha256:m1  1.9 MiB  linux/amd64 -
"""


def record(name: str, *blobs: str) -> Record:
    manifest, config, *layers = (f"sha256:{blob}" for blob in blobs)
    sizes = [Blob(digest, 10, "x") for digest in (manifest, config, *layers)]
    return Record(name, f"r/{name}:1", "key", manifest, config, tuple(sizes))


ONE, TWO = record("one", "m1", "c1", "base", "l1"), record("two", "m2", "c2", "base", "l2")


def found(case: dict[str, Any]) -> Found:
    digests = frozenset(f"sha256:{blob}" for blob in case.get("blobs", []))
    images = {f"r/{name}:1": f"sha256:{digest}" for name, digest in case.get("images", {}).items()}
    return Found(digests, images, frozenset(f"r/{name}:1" for name in case.get("pinned", [])))


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    node = found(case)
    what = plan([ONE, TWO], node)
    assert [each.name for each in what.deliver] == case["deliver"]
    assert [blob.digest[7:] for blob in what.lacking] == case["lacking"]
    assert [name[2:-2] for name in what.pin] == case["pin"]
    assert what.changed == bool(case["deliver"] or case["pin"])
    told = report([ONE, TWO], node, what)
    assert sum(int(str(image["bytes"])) for image in told) == what.bytes == 10 * len(case["lacking"])


def test_containerds_lists_are_understood() -> None:
    node = parse("sha256:m1\nsha256:c1\n", IMAGES_LS)
    assert node.images["r/one:1"] == "sha256:m1"
    assert node.images["r/two:1"] == "sha256:m2"
    assert node.pinned == {"r/one:1"}
    assert node.digests == {"sha256:m1", "sha256:c1"}


class Node:
    """Answers k3s ctr, and remembers what it was asked."""

    def __init__(self, *answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.asked.append(" ".join(command[4:]))
        return self.answer  # type: ignore[return-value]


def test_an_import_is_followed_by_the_pins() -> None:
    node = Node(0, "", "")
    apply(node, Plan((ONE,), ("r/one:1",), ()), "/tmp/images.tar")
    assert node.asked == [
        "images import /tmp/images.tar",
        "images label r/one:1 io.cri-containerd.pinned=pinned",
    ]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((127, "", "No such file"), "k3s is not installed on this node"),
        ((1, "", "ctr: cannot access /run/k3s/containerd/containerd.sock"), "k3s does not run on this node"),
        ((1, "", "ctr: no space left on device"), "containerd could not do `content ls`: ctr: no space left"),
    ],
    ids=["no_k3s", "k3s_stopped", "disk_full"],
)
def test_a_node_that_cannot_says_why(answer: tuple[int, str, str], sentence: str) -> None:
    with pytest.raises(NodeError, match=sentence):
        read(Node(*answer))


def test_an_image_for_another_kind_of_machine_is_named() -> None:
    refuse_foreign({"r/one:1": "amd64", "r/old:1": ""}, "x86_64")
    with pytest.raises(NodeError, match=r"this node is arm64, and r/one:1 \(amd64\) cannot run on it"):
        refuse_foreign({"r/one:1": "amd64", "r/two:1": "arm64"}, "aarch64")


def test_k3s_is_called_by_its_whole_path() -> None:
    """The sudo of Enterprise Linux does not search /usr/local/bin."""
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> tuple[int, str, str]:
        asked.append(command)
        return 0, "", ""

    read(run)
    assert {command[0] for command in asked} == {"/usr/local/bin/k3s"}
