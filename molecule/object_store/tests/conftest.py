"""The store of the scenario, and what has to be refused by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.object_store import BUCKETS, Store

from kubernetes import client


@pytest.fixture(scope="session")
def store(core: client.CoreV1Api) -> Iterator[Store]:
    found = Store(core)
    yield found
    found.forget()


@pytest.fixture(autouse=True)
def _room(store: Store) -> None:
    """Empty ada's bucket: what other tests left there would be found, or be where a folder has to be."""
    store.forget()
    ada, bucket = store.client("ada"), BUCKETS["ada"]
    for each in ada.list_objects_v2(Bucket=bucket).get("Contents", []):
        ada.delete_object(Bucket=bucket, Key=each["Key"])
    for each in ada.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        ada.abort_multipart_upload(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"])


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """Do something that has to be refused, and return the S3 error code."""
    from botocore.exceptions import ClientError

    def run(what: Callable[..., Any], **arguments: Any) -> str:
        with pytest.raises(ClientError) as error:
            what(**arguments)
        return str(error.value.response["Error"]["Code"])

    return run
