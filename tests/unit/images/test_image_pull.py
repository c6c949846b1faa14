"""image_pull makes an image of a registry one that builds can start from, whatever Docker may reach."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from module_utils.metalworks.images.names import by_digest, pulled_name
from module_utils.metalworks.images.oci import LAYER_ZSTD, BlobStore, store_image
from module_utils.metalworks.images.record import Record
from tests.support.modules import run_module
from tests.support.registry import State, serving

LOGIN = {"username": "ada", "password": "secret"}
DIGEST = f"sha256:{'a' * 64}"
# A client of Docker that knows the names in its list, and adds those that it loads.
DOCKER = """#!/usr/bin/env python3
import json, pathlib, sys, tarfile
known = pathlib.Path(__file__).with_name("known")
if sys.argv[1] == "load":
    with tarfile.open(sys.argv[-1]) as archive:
        (image,) = json.load(archive.extractfile("manifest.json"))
    known.write_text(known.read_text() + "".join(f"{name}\\n" for name in image["RepoTags"]))
elif sys.argv[-1] not in known.read_text().splitlines():
    sys.exit("Error: No such image: " + sys.argv[-1])
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The names that Docker has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (programs / "known").write_text("")
    return programs / "known"


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """An image of one layer, as the cache has it after a build, compressed as Docker's archives cannot be."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    store = BlobStore(tmp_path / "metalworks" / "blobs")
    layer = store.put(zstandard.compress(content.getvalue()), LAYER_ZSTD)
    diff_ids = [f"sha256:{hashlib.sha256(content.getvalue()).hexdigest()}"]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    return store_image(store, "model", "metalworks.local/model:1-abc", "abc", config, [layer])


def push(state: State, record: Record, tmp_path: Path, capsys: Any) -> str:
    """Push the image, and return its name with its digest."""
    record.save(tmp_path / "record.json")
    done = run_module(
        "image_push",
        {"images": [str(tmp_path / "record.json")], "address": state.address, **LOGIN},
        capsys,
    )
    assert not done["failed"], done
    return f"{state.address}/metalworks/model:1-abc@{record.manifest_digest}"


def test_the_image_is_pulled_once_and_is_found_then(
    known: Path, record: Record, tmp_path: Path, capsys: Any
) -> None:
    with serving(auth="basic") as state:
        image = push(state, record, tmp_path, capsys)
        given = {"image": image, "address": state.address, **LOGIN}
        planned = run_module("image_pull", given, capsys, check=True)
        assert (planned["changed"], known.read_text()) == (True, "")
        done = run_module("image_pull", given, capsys)
        assert done == planned
        assert known.read_text() == f"{done['reference']}\n"
        assert not run_module("image_pull", given, capsys)["changed"]


def test_what_was_built_here_has_the_name_of_its_build_and_is_not_pulled(
    known: Path, record: Record, tmp_path: Path, capsys: Any
) -> None:
    record.save(tmp_path / "metalworks" / "images" / "model-abc.json")
    known.write_text(f"{record.reference}\n")
    given = {"image": f"127.0.0.1:1/m/model:2@{record.manifest_digest}", "address": "127.0.0.1:1"}
    done = run_module("image_pull", given, capsys)
    assert (done["changed"], done["reference"]) == (False, record.reference)


@pytest.mark.parametrize(
    ("name", "login", "says"),
    [
        (f"metalworks/model@{DIGEST}", LOGIN, "manifest unknown"),
        ("metalworks/model:1-abc", LOGIN, "has no digest; write name@sha256:..."),
        (f"metalworks/model@{DIGEST}", {}, "wants a login: write username and password"),
    ],
)
def test_what_cannot_be_pulled_is_said(
    known: Path, capsys: Any, name: str, login: dict[str, str], says: str
) -> None:
    with serving(auth="basic") as state:
        given = {"image": f"{state.address}/{name}", "address": state.address, **login}
        answer = run_module("image_pull", given, capsys)
    assert answer["failed"]
    assert says in answer["msg"]


def test_the_tag_means_nothing_beside_a_digest() -> None:
    assert by_digest(f"r.example:5000/m/model:1-abc@{DIGEST}") == f"r.example:5000/m/model@{DIGEST}"
    assert by_digest(f"r.example:5000/m/model@{DIGEST}") == f"r.example:5000/m/model@{DIGEST}"
    assert pulled_name(f"r.example:5000/m/model:1@{DIGEST}") == f"metalworks.local/model:sha256-{'a' * 16}"
