"""image_push as a whole: it says what it will push, pushes it, and is satisfied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from library.images.image_push import ARGUMENTS
from module_utils.metalworks.images.names import DEFAULT_REPOSITORY
from module_utils.metalworks.images.oci import LAYER, BlobStore, store_image
from tests.support.modules import run_module
from tests.support.registry import State, serving


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = BlobStore(tmp_path / "metalworks" / "blobs")
    made = store_image(store, "hub", "metalworks.local/hub:5-abc", "abc", {}, [store.put(b"layer", LAYER)])
    made.save(tmp_path / "record.json")
    return tmp_path / "record.json"


def push(state: State, capsys: Any, *images: Path, check: bool = False, **more: Any) -> dict[str, Any]:
    parameters = {"images": [str(image) for image in images], "address": state.address, **more}
    return run_module("image_push", parameters, capsys, check=check)


def test_the_place_in_a_registry_is_the_one_that_pods_are_given() -> None:
    assert ARGUMENTS["repository"]["default"] == DEFAULT_REPOSITORY


def test_it_says_pushes_and_is_satisfied(record: Path, capsys: Any) -> None:
    with serving(auth="basic") as state:
        login: dict[str, Any] = {"username": "ada", "password": "secret"}
        planned = push(state, capsys, record, check=True, **login)
        assert (planned["changed"], planned["images"][0]["present"]) == (True, False)
        assert not state.manifests
        done = push(state, capsys, record, **login)
        assert {**done, "seconds": 0} == {**planned, "seconds": 0}, "check mode told the truth"
        assert done["diff"]["after"] == f"{state.address}/metalworks/hub:5-abc\n"
        assert ("metalworks/hub", "5-abc") in state.manifests
        again = push(state, capsys, record, **login)
        assert (again["changed"], again["bytes"], again["images"][0]["present"]) == (False, 0, True)


def test_an_image_that_is_yet_to_be_built_is_a_change_in_check_mode(record: Path, capsys: Any) -> None:
    unbuilt = record.with_name("unbuilt.json")
    with serving() as state:
        push(state, capsys, record)
        assert push(state, capsys, record, unbuilt, check=True)["changed"]
        assert push(state, capsys, record, unbuilt)["failed"]


def test_a_lost_layer_is_named_before_anything_is_sent(record: Path, capsys: Any) -> None:
    for blob in (record.parent / "metalworks" / "blobs" / "sha256").iterdir():
        blob.unlink()
    with serving() as state:
        answer = push(state, capsys, record)
        assert "metalworks.local/hub:5-abc: layers are missing" in answer["msg"]
        assert not state.asked


def test_a_wrong_password_is_refused_and_not_shown(record: Path, capsys: Any) -> None:
    with serving(auth="basic") as state:
        answer = push(state, capsys, record, username="ada", password="hunter22")
        assert answer["failed"]
        assert "does not let ada in" in answer["msg"]
        assert "hunter22" not in str(answer)
