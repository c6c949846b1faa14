"""The node's half of image_send, against a k3s that is a script: it plans, imports, pins, and looks again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.node import images
from tests.support.modules import run_module

RECORD = {
    "name": "one",
    "reference": "r/one:1",
    "key": "k",
    "manifest_digest": "sha256:m1",
    "config_digest": "sha256:c1",
    "blobs": [
        {"digest": digest, "size": 10, "mediaType": "x"} for digest in ("sha256:m1", "sha256:c1", "sha256:l1")
    ],
}
# containerd as a folder: `blobs`, `images` and `pinned` are its state.
K3S = """\
#!/bin/sh
cd {folder}
shift 3
case "$1 $2" in
  "content ls") cat blobs ;;
  "images ls") echo REF; sed "s|$| type sha256:m1 1 MiB linux/amd64 $(cat pinned)|" images ;;
  "images import")
    [ -f "$3" ] || exit 1
    printf 'sha256:m1\\nsha256:c1\\n{arrives}' > blobs
    echo r/one:1 > images ;;
  "images label") echo "$4" > pinned ;;
esac
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in (("blobs", "sha256:m1\n"), ("images", ""), ("pinned", "-")):
        (tmp_path / name).write_text(content)
    install(tmp_path, "sha256:l1\\n")
    monkeypatch.setattr(images, "CTR", [str(tmp_path / "k3s"), *images.CTR[1:]])
    return tmp_path


def install(folder: Path, arrives: str) -> None:
    (folder / "k3s").write_text(K3S.format(folder=folder, arrives=arrives))
    (folder / "k3s").chmod(0o755)


def ask(capsys: Any, check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(
        "image_send", {"images": ["/record.json"], "records": [RECORD], **more}, capsys, check=check
    )


def test_it_is_asked_then_given_then_satisfied(node: Path, capsys: Any) -> None:
    planned = ask(capsys, check=True)
    assert (planned["changed"], planned["lacking"], planned["bytes"]) == (
        True,
        ["sha256:c1", "sha256:l1"],
        20,
    )
    asked = ask(capsys)
    assert {**asked, "invocation": None} == {**planned, "invocation": None}, "check mode told the truth"
    assert (node / "images").read_text() == "", "without an archive nothing is changed"
    (node / "images.tar").touch()
    given = ask(capsys, archive=str(node / "images.tar"))
    assert given["changed"]
    assert (node / "pinned").read_text().strip() == "io.cri-containerd.pinned=pinned"
    after = ask(capsys)
    assert (after["changed"], after["lacking"], after["images"][0]["present"]) == (False, [], True)


def test_an_import_that_did_not_bring_everything_is_a_failure(node: Path, capsys: Any) -> None:
    install(node, "")
    (node / "images.tar").touch()
    answer = ask(capsys, archive=str(node / "images.tar"))
    assert answer["failed"]
    assert "still lacks" in answer["msg"]
    assert "sha256:l1" in answer["msg"]


def test_check_mode_works_before_there_is_a_k3s(node: Path, capsys: Any) -> None:
    (node / "k3s").unlink()
    answer = ask(capsys, check=True)
    assert (answer["failed"], answer["changed"], answer["bytes"]) == (False, True, 30)
    answer = ask(capsys)
    assert answer["failed"]
    assert "k3s is not installed on this node" in answer["msg"]


def test_without_its_action_plugin_it_refuses(node: Path, capsys: Any) -> None:
    answer = run_module("image_send", {"images": ["/record.json"]}, capsys)
    assert "set action_plugins in ansible.cfg" in answer["msg"]
