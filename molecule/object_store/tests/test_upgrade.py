"""What the release before has stored is the same after an upgrade, and after the way back."""

from __future__ import annotations

from typing import Any

import pytest
from test_object_store import MIB, objects
from tests.support.artifacts import built
from tests.support.object_store import BUCKETS, Store, images_of_the_store

testinfra_hosts = ["ansible://k3s_server"]

PREVIOUS = "object-store-previous-image"


@pytest.mark.long
def test_an_upgrade_and_the_way_back_keep_all(store: Store) -> None:
    today = images_of_the_store(store.core)
    before = {**today, "object-store": built(PREVIOUS)[PREVIOUS]["reference"]}
    try:
        for images in (before, today, before):
            write(store, f"with-{images_of_the_store(store.core)['object-store'].rpartition(':')[2]}")
            known = everything(store)
            store.converge(container_images_references=images).check()
            store.forget()
            assert images_of_the_store(store.core) == images
            assert everything(store) == known
    finally:
        store.converge(container_images_references=today).check()
        store.forget()
    assert everything(store) == known


def everything(store: Store) -> dict[str, dict[str, tuple[Any, ...]]]:
    """All objects of a user and of the bucket that keeps former versions."""
    return {who: objects(store.client(who), BUCKETS[who]) for who in ("ada", "models")}


def write(store: Store, version: str) -> None:
    """Write what S3 has: metadata, tags, versions, and an object in parts."""
    ada, models = store.client("ada"), store.client("models")
    which = {"Bucket": BUCKETS["ada"], "Key": f"{version}/plain"}
    ada.put_object(**which, Body=version.encode(), ContentType="text/csv", Metadata={"c": "d"}, Tagging="a=b")
    which["Key"] = f"{version}/parts"
    upload = ada.create_multipart_upload(**which)["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": ada.upload_part(**which, UploadId=upload, PartNumber=number, Body=b"p" * 5 * MIB)["ETag"],
        }
        for number in (1, 2)
    ]
    ada.complete_multipart_upload(**which, UploadId=upload, MultipartUpload={"Parts": parts})
    # The bucket of the models keeps former versions.
    models.put_object(Bucket=BUCKETS["models"], Key="model", Body=version.encode())
