"""Who has which rights: a program and a user in their own bucket, all users in the shared one."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.metalworks.object_store.rights import (
    LONGEST_POLICY,
    access_key,
    accounts,
    buckets,
    policy,
    written,
)

WRITING = {"s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:DeleteObjectVersion"}


def granted(document: dict[str, Any] | None, key: str) -> set[str]:
    """The actions that a policy lets an access key do."""
    statements = (document or {}).get("Statement", [])
    return {action for each in statements if key in each["Principal"]["AWS"] for action in each["Action"]}


def made(users: list[str], writers: list[str]) -> dict[str, Any]:
    consumers = {"mlflow": {}, "models": {"versioned": True}}
    return {each["name"]: each for each in buckets(consumers, users, writers)}


def test_everybody_writes_to_their_own_bucket_and_to_no_other() -> None:
    found = made(["ada", "grace.hopper"], [])
    keys = {"mlflow", "models", "user-ada", access_key("grace.hopper")}
    assert set(found) == keys | {"shared"}
    for name in keys:
        assert {key for key in keys if granted(found[name]["policy"], key)} == {name}
        assert granted(found[name]["policy"], name) >= WRITING


def test_all_users_read_what_is_shared_and_only_writers_write() -> None:
    shared = made(["ada", "grace"], ["grace", "gone"])["shared"]["policy"]
    assert "s3:GetObject" in granted(shared, "user-ada") and not granted(shared, "user-ada") & WRITING
    assert granted(shared, "user-grace") >= WRITING
    assert granted(shared, "user-gone") == granted(shared, "mlflow") == set()


def test_nobody_may_change_a_policy_or_make_anything_public() -> None:
    for bucket in made(["ada"], ["ada"]).values():
        for statement in bucket["policy"]["Statement"]:
            assert "*" not in statement["Principal"]["AWS"]
            assert not [
                each for each in statement["Action"] if "*" in each or "Policy" in each or "Acl" in each
            ]


def test_without_users_nobody_has_rights_in_what_is_shared() -> None:
    assert made([], [])["shared"]["policy"] is None
    assert policy("shared", []) is None and written(None) == ""


def test_only_the_bucket_of_models_keeps_versions() -> None:
    assert [name for name, each in made(["ada"], []).items() if each["versioned"]] == ["models"]


def test_a_policy_of_one_user_is_far_below_what_a_file_system_holds() -> None:
    longest = "a" * 58
    assert len(written(policy(access_key(longest), [access_key(longest)]))) < LONGEST_POLICY / 2


def test_the_accounts_are_those_of_the_gateways_file() -> None:
    found = json.loads(accounts({"mlflow": {"access_key": "mlflow", "secret_key": "s3cret"}}))
    assert found == {
        "accessAccounts": {
            "mlflow": {
                "access": "mlflow",
                "secret": "s3cret",
                "role": "user",
                "userID": 0,
                "groupID": 0,
                "projectID": 0,
            }
        }
    }
