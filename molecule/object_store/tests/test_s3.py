"""What the platform relies on of S3, asked of the store as it is installed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from tests.support.object_store import BUCKETS, Store

ADA = BUCKETS["ada"]
MIB = 2**20


@pytest.fixture
def ada(store: Store) -> Any:
    return store.client("ada")


def keys(s3: Any, bucket: str, **arguments: Any) -> list[str]:
    """All keys, over all pages."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **arguments)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def test_a_listing_has_pages_folders_and_an_order(ada: Any) -> None:
    names = [f"listed/{part}/{number:02}" for part in ("a", "b") for number in range(12)] + ["listed/a-1"]
    for name in names:
        ada.put_object(Bucket=ADA, Key=name, Body=b"x")
    assert keys(ada, ADA, Prefix="listed/", PaginationConfig={"PageSize": 5}) == sorted(names)
    page = ada.list_objects_v2(Bucket=ADA, Prefix="listed/", MaxKeys=5)
    assert (page["KeyCount"], page["IsTruncated"]) == (5, True)
    folders = ada.list_objects_v2(Bucket=ADA, Prefix="listed/", Delimiter="/")
    assert [each["Prefix"] for each in folders["CommonPrefixes"]] == ["listed/a/", "listed/b/"]
    assert [each["Key"] for each in folders["Contents"]] == ["listed/a-1"]
    after = ada.list_objects_v2(Bucket=ADA, Prefix="listed/", StartAfter="listed/b/10")
    assert [each["Key"] for each in after["Contents"]] == ["listed/b/11"]


def test_names_of_all_kinds_are_kept(ada: Any) -> None:
    names = ["odd/with blank", "odd/größe-é-日本", "odd/plus+and&and=", "odd/a" + "b" * 200, "odd/%41"]
    for name in names:
        ada.put_object(Bucket=ADA, Key=name, Body=name.encode())
    assert sorted(keys(ada, ADA, Prefix="odd/")) == sorted(names)
    for name in names:
        assert ada.get_object(Bucket=ADA, Key=name)["Body"].read() == name.encode()


def test_a_name_is_an_object_or_a_folder_and_the_second_use_is_refused(
    ada: Any, refused: Callable[..., str]
) -> None:
    ada.put_object(Bucket=ADA, Key="name", Body=b"object")
    ada.put_object(Bucket=ADA, Key="folder/name", Body=b"object")
    assert refused(ada.put_object, Bucket=ADA, Key="name/b", Body=b"x") == "ObjectParentIsFile"
    assert refused(ada.put_object, Bucket=ADA, Key="folder", Body=b"x") == "ExistingObjectIsDirectory"
    # An upload in parts is told at its end, and can then be given up.
    upload = ada.create_multipart_upload(Bucket=ADA, Key="name/b")["UploadId"]
    part = ada.upload_part(Bucket=ADA, Key="name/b", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    which = {"Bucket": ADA, "Key": "name/b", "UploadId": upload}
    assert refused(ada.complete_multipart_upload, **which, MultipartUpload=parts) == "ObjectParentIsFile"
    ada.abort_multipart_upload(**which)
    assert keys(ada, ADA) == ["folder/name", "name"]


def test_metadata_ranges_tags_and_copies(ada: Any) -> None:
    ada.put_object(
        Bucket=ADA,
        Key="meta/a",
        Body=b"0123456789",
        ContentType="text/csv",
        Metadata={"made-by": "ada"},
        Tagging="kind=raw",
    )
    ada.copy_object(Bucket=ADA, Key="meta/b", CopySource=f"{ADA}/meta/a")
    for name in ("meta/a", "meta/b"):
        head = ada.head_object(Bucket=ADA, Key=name)
        assert (head["ContentType"], head["Metadata"]) == ("text/csv", {"made-by": "ada"})
        assert head["ETag"] == f'"{hashlib.md5(b"0123456789").hexdigest()}"'
        assert ada.get_object(Bucket=ADA, Key=name, Range="bytes=2-4")["Body"].read() == b"234"
    assert ada.get_object_tagging(Bucket=ADA, Key="meta/a")["TagSet"] == [{"Key": "kind", "Value": "raw"}]


def test_an_upload_in_parts_is_there_when_it_is_completed_and_not_before(
    ada: Any, refused: Callable[..., str]
) -> None:
    parts = [b"a" * 5 * MIB, b"b" * 5 * MIB, b"c"]
    upload = ada.create_multipart_upload(Bucket=ADA, Key="parts/whole", Metadata={"n": "3"})["UploadId"]
    done = [
        {
            "PartNumber": number,
            "ETag": ada.upload_part(
                Bucket=ADA, Key="parts/whole", UploadId=upload, PartNumber=number, Body=body
            )["ETag"],
        }
        for number, body in enumerate(parts, 1)
    ]
    assert keys(ada, ADA, Prefix="parts/") == []
    assert refused(ada.head_object, Bucket=ADA, Key="parts/whole") == "404"
    ada.complete_multipart_upload(
        Bucket=ADA, Key="parts/whole", UploadId=upload, MultipartUpload={"Parts": done}
    )
    found = ada.get_object(Bucket=ADA, Key="parts/whole")
    assert found["Body"].read() == b"".join(parts)
    assert (found["Metadata"], found["ETag"].endswith('-3"')) == ({"n": "3"}, True)
    assert (
        refused(ada.upload_part, Bucket=ADA, Key="parts/whole", UploadId=upload, PartNumber=1, Body=b"x")
        == "NoSuchUpload"
    )


def test_an_upload_that_is_given_up_leaves_nothing(ada: Any) -> None:
    upload = ada.create_multipart_upload(Bucket=ADA, Key="parts/none")["UploadId"]
    ada.upload_part(Bucket=ADA, Key="parts/none", UploadId=upload, PartNumber=1, Body=b"a" * MIB)
    listed = ada.list_multipart_uploads(Bucket=ADA).get("Uploads", [])
    assert [each["UploadId"] for each in listed] == [upload]
    ada.abort_multipart_upload(Bucket=ADA, Key="parts/none", UploadId=upload)
    assert ada.list_multipart_uploads(Bucket=ADA).get("Uploads", []) == []
    assert "parts/none" not in keys(ada, ADA)


def test_of_many_who_create_one_object_one_wins(store: Store) -> None:
    clients = [store.client("ada") for _ in range(8)]

    def create(number: int) -> bool:
        try:
            clients[number].put_object(
                Bucket=ADA, Key="lock/leader", Body=str(number).encode(), IfNoneMatch="*"
            )
        except clients[number].exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")
            return False
        return True

    clients[0].delete_object(Bucket=ADA, Key="lock/leader")
    with ThreadPoolExecutor(len(clients)) as pool:
        won = [number for number, has in enumerate(pool.map(create, range(len(clients)))) if has]
    assert len(won) == 1
    assert clients[0].get_object(Bucket=ADA, Key="lock/leader")["Body"].read() == str(won[0]).encode()


def test_an_object_is_replaced_only_by_who_has_seen_it(ada: Any, refused: Callable[..., str]) -> None:
    first = ada.put_object(Bucket=ADA, Key="cas/champion", Body=b"1")["ETag"]
    second = ada.put_object(Bucket=ADA, Key="cas/champion", Body=b"2", IfMatch=first)["ETag"]
    assert (
        refused(ada.put_object, Bucket=ADA, Key="cas/champion", Body=b"3", IfMatch=first)
        == "PreconditionFailed"
    )
    assert ada.get_object(Bucket=ADA, Key="cas/champion", IfMatch=second)["Body"].read() == b"2"
    assert refused(ada.get_object, Bucket=ADA, Key="cas/champion", IfNoneMatch=second) in (
        "304",
        "NotModified",
    )


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32", "CRC64NVME"])
def test_what_arrives_otherwise_than_it_was_sent_is_refused(
    ada: Any, algorithm: str, refused: Callable[..., str]
) -> None:
    wrong = {
        "SHA256": hashlib.sha256(b"other").digest(),
        "CRC32": b"\0\0\0\1",
        "CRC64NVME": b"\0" * 7 + b"\1",
    }[algorithm]
    given = {f"Checksum{algorithm}": base64.b64encode(wrong).decode()}
    assert refused(ada.put_object, Bucket=ADA, Key=f"sum/{algorithm}", Body=b"one", **given) in (
        "BadDigest",
        "InvalidDigest",
        "InvalidRequest",
        "XAmzContentChecksumMismatch",
    )
    assert refused(ada.head_object, Bucket=ADA, Key=f"sum/{algorithm}") == "404"


def test_a_signed_address_lets_its_holder_in_for_a_while_and_nobody_without(ada: Any) -> None:
    ada.put_object(Bucket=ADA, Key="signed", Body=b"for you")
    url = ada.generate_presigned_url("get_object", Params={"Bucket": ADA, "Key": "signed"}, ExpiresIn=60)
    assert "X-Amz-Signature" in url
    assert requests.get(url, timeout=30).content == b"for you"
    assert requests.get(url.partition("?")[0], timeout=30).status_code == 403
    assert requests.get(url.replace("/signed?", "/other?"), timeout=30).status_code == 403
    put = ada.generate_presigned_url("put_object", Params={"Bucket": ADA, "Key": "signed-put"}, ExpiresIn=60)
    assert requests.put(put, data=b"mine", timeout=30).status_code == 200
    assert ada.get_object(Bucket=ADA, Key="signed-put")["Body"].read() == b"mine"


@pytest.mark.parametrize("who", ["grace", "mlflow"])
def test_nobody_else_reads_lists_writes_copies_or_deletes(
    store: Store, ada: Any, who: str, refused: Callable[..., str]
) -> None:
    ada.put_object(Bucket=ADA, Key="private", Body=b"diary")
    upload = ada.create_multipart_upload(Bucket=ADA, Key="private-parts")["UploadId"]
    other, own = store.client(who), BUCKETS[who]
    other.put_object(Bucket=own, Key="own", Body=b"x")
    everything: list[tuple[Any, dict[str, Any]]] = [
        (other.get_object, {"Key": "private"}),
        (other.get_object_tagging, {"Key": "private"}),
        (other.put_object, {"Key": "private", "Body": b"x"}),
        (other.put_object, {"Key": "new", "Body": b"x"}),
        (other.delete_object, {"Key": "private"}),
        (other.list_objects_v2, {}),
        (other.list_objects_v2, {"Prefix": "private"}),
        (other.list_object_versions, {}),
        (other.list_multipart_uploads, {}),
        (other.create_multipart_upload, {"Key": "parts"}),
        (other.upload_part, {"Key": "private-parts", "UploadId": upload, "PartNumber": 1, "Body": b"x"}),
        (other.abort_multipart_upload, {"Key": "private-parts", "UploadId": upload}),
        (other.get_bucket_policy, {}),
        (other.delete_bucket, {}),
    ]
    for call, arguments in everything:
        assert refused(call, Bucket=ADA, **arguments) == "AccessDenied", call.__name__
    assert refused(other.head_object, Bucket=ADA, Key="private") == "403"
    assert refused(other.copy_object, Bucket=own, Key="stolen", CopySource=f"{ADA}/private") == "AccessDenied"
    errors = other.delete_objects(Bucket=ADA, Delete={"Objects": [{"Key": "private"}]}).get("Errors", [])
    assert [each["Code"] for each in errors] == ["AccessDenied"]
    assert ada.get_object(Bucket=ADA, Key="private")["Body"].read() == b"diary"
    ada.abort_multipart_upload(Bucket=ADA, Key="private-parts", UploadId=upload)


def test_a_user_cannot_open_the_bucket_to_others(ada: Any, refused: Callable[..., str]) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{ADA}/*"}
    everybody = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for call, arguments in [
        (ada.put_bucket_policy, {"Bucket": ADA, "Policy": everybody}),
        (ada.delete_bucket_policy, {"Bucket": ADA}),
        (ada.put_bucket_acl, {"Bucket": ADA, "ACL": "public-read"}),
        (ada.put_bucket_versioning, {"Bucket": ADA, "VersioningConfiguration": {"Status": "Enabled"}}),
        (ada.delete_bucket, {"Bucket": ADA}),
        (ada.create_bucket, {"Bucket": "mine-alone"}),
    ]:
        assert refused(call, **arguments) in ("AccessDenied", "AccessControlListNotSupported"), call.__name__
    assert ada.list_buckets()["Buckets"] == []


def test_an_unknown_key_and_a_wrong_one_are_refused(store: Store, refused: Callable[..., str]) -> None:
    from ansible.module_utils.metalworks.object_store.s3 import make_client

    endpoint, (name, secret) = f"http://{store.address()}", store.key("ada")
    unknown = make_client(endpoint, "nobody", secret, "us-east-1", near=True)
    wrong = make_client(endpoint, name, secret[::-1], "us-east-1", near=True)
    assert refused(unknown.list_buckets) == "InvalidAccessKeyId"
    assert refused(wrong.list_objects_v2, Bucket=ADA) == "SignatureDoesNotMatch"


def test_what_is_shared_is_read_by_all_and_written_by_some(
    store: Store, ada: Any, refused: Callable[..., str]
) -> None:
    grace = store.client("grace")
    grace.put_object(Bucket="shared", Key="table", Body=b"for all")
    assert ada.get_object(Bucket="shared", Key="table")["Body"].read() == b"for all"
    assert keys(ada, "shared") == ["table"]
    for call in (ada.put_object, ada.delete_object):
        assert refused(call, Bucket="shared", Key="table") == "AccessDenied"
    assert refused(store.client("mlflow").get_object, Bucket="shared", Key="table") == "AccessDenied"
    grace.delete_object(Bucket="shared", Key="table")
    assert keys(ada, "shared") == []


def test_former_versions_of_a_model_are_kept(store: Store) -> None:
    models = store.client("models")
    first = models.put_object(Bucket="models", Key="reco/model", Body=b"one")["VersionId"]
    second = models.put_object(Bucket="models", Key="reco/model", Body=b"two")["VersionId"]
    models.delete_object(Bucket="models", Key="reco/model")
    assert keys(models, "models", Prefix="reco/") == []
    found = models.list_object_versions(Bucket="models", Prefix="reco/model")
    assert {each["VersionId"] for each in found["Versions"]} >= {first, second}
    assert found["DeleteMarkers"][0]["IsLatest"]
    for version, body in ((first, b"one"), (second, b"two")):
        assert models.get_object(Bucket="models", Key="reco/model", VersionId=version)["Body"].read() == body
