"""The node has one selected k3s, whole, and the images that it imports at its start."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any


def test_k3s_is_a_link_to_the_version_that_it_is(host: Any) -> None:
    link = host.file("/usr/local/bin/k3s")
    assert link.is_symlink
    version = host.check_output("k3s --version").split()[2]
    assert PurePosixPath(link.linked_to).name == f"k3s-{version}"


def test_kubectl_is_k3s(host: Any) -> None:
    assert host.file("/usr/local/bin/kubectl").linked_to == host.file("/usr/local/bin/k3s").linked_to
    assert "Client Version" in host.check_output("kubectl version --client")


def test_the_binary_belongs_to_root_and_nobody_else_may_write_it(host: Any) -> None:
    binary = host.file(host.file("/usr/local/bin/k3s").linked_to)
    assert (binary.user, binary.group, binary.mode) == ("root", "root", 0o755)


def test_the_images_wait_where_k3s_looks_for_them(host: Any) -> None:
    names = host.check_output("ls /var/lib/rancher/k3s/agent/images").split()
    assert len(names) == 1
    assert names[0].startswith("k3s-airgap-images.tar")


def test_nothing_runs_yet(host: Any) -> None:
    assert not host.service("k3s").exists
