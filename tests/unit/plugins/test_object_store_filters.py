"""The names, keys and Secrets that the role makes of its inputs."""

from __future__ import annotations

import configparser
from typing import Any

import pytest
from plugins.filter.object_store import FilterModule

FILTERS = FilterModule().filters()
PLACE = {
    "endpoint": "http://object-store.object-store.svc.cluster.local:7070",
    "region": "us-east-1",
    "namespace": "hub",
    "buckets": {},
}
CONSUMERS = {"mlflow": {"secrets": [{"namespace": "mlflow", "name": "object-store"}]}, "models": None}
USERS = ["ada", "grace.hopper"]


def keys() -> dict[str, dict[str, str]]:
    names = ["mlflow", "models", *map(FILTERS["object_store_key"], USERS)]
    return FILTERS["object_store_credentials"](names, [f"s-{n}" for n in names])


def secrets(**place: Any) -> dict[str, dict[str, Any]]:
    made = FILTERS["object_store_secrets"](keys(), CONSUMERS, USERS, {**PLACE, **place})
    return {f"{each['namespace']}/{each['name']}": each["data"] for each in made}


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def test_each_program_and_each_user_finds_a_key_of_their_own() -> None:
    found = secrets()
    assert set(found) == {
        "mlflow/object-store",
        "hub/object-store-ada",
        "hub/object-store-grace-hopper---be5b89a3",
    }
    assert found["mlflow/object-store"] == {
        "AWS_ACCESS_KEY_ID": "mlflow",
        "AWS_SECRET_ACCESS_KEY": "s-mlflow",
        "AWS_ENDPOINT_URL": PLACE["endpoint"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "S3_PREFIX": "s3://mlflow",
    }
    key = parsed(found["hub/object-store-ada"]["credentials"])["default"]
    assert dict(key) == {"aws_access_key_id": "user-ada", "aws_secret_access_key": "s-user-ada"}


def test_a_users_programs_know_where_the_store_is() -> None:
    data = secrets()["hub/object-store-ada"]
    settings = parsed(data["config"])["default"]
    assert (settings["endpoint_url"], settings["region"]) == (PLACE["endpoint"], "us-east-1")
    dvc = parsed(data["dvc"])
    remote = dvc["'remote \"store\"'"]
    assert dvc["core"]["remote"] == "store"
    assert (remote["url"], remote["endpointurl"]) == ("s3://user-ada/dvc", PLACE["endpoint"])


def test_a_bucket_of_another_name_is_used() -> None:
    found = secrets(buckets={"user-ada": "acme-ada", "mlflow": "acme-runs"})
    assert parsed(found["hub/object-store-ada"]["dvc"])["'remote \"store\"'"]["url"] == "s3://acme-ada/dvc"
    assert found["mlflow/object-store"]["S3_PREFIX"] == "s3://acme-runs"


def test_who_has_no_key_gets_no_secret() -> None:
    assert FILTERS["object_store_secrets"]({}, CONSUMERS, USERS, PLACE) == []


def test_which_key_is_used_for_which_bucket() -> None:
    found = FILTERS["object_store_uses"](
        {"mlflow": {"access_key": "a", "secret_key": "b"}}, {"mlflow": "acme"}
    )
    assert found == [{"bucket": "acme", "access_key": "a", "secret_key": "b"}]


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("http://object-store.data.svc.cluster.local:7070", True),
        ("http://object-store.other.svc.cluster.local:7070", False),
        ("https://s3.example.com", False),
    ],
)
def test_the_own_store_is_known_by_its_address(endpoint: str, own: bool) -> None:
    assert FILTERS["object_store_is_own"](endpoint, "data") is own
