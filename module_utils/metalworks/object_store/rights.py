"""Who may do what: the buckets of a platform, and the policy of each.

Every user has a bucket of their own. Policies say all: who is not named in one may do nothing, and nobody but
the role may change one. The gateway keeps a policy in one extended attribute of the bucket's folder, and ext4
has about 4 KB for all attributes of a folder: one bucket with a part for each user would end at eight users.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..common.slugs import safe_slug

Policy = dict[str, Any]

VERSION = "2012-10-17"
# Attributes of a folder take one block of ext4 (4096 bytes); the gateway has others beside the policy.
LONGEST_POLICY = 3500
LONGEST_BUCKET = 63
USER_PREFIX = "user-"
SHARED = "shared"

OF_BUCKET = ("s3:ListBucket", "s3:GetBucketLocation")
OF_BUCKET_TO_WRITE = ("s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:GetBucketVersioning")
OF_OBJECTS = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectTagging",
    "s3:GetObjectVersionTagging",
    "s3:GetObjectAttributes",
)
OF_OBJECTS_TO_WRITE = (
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)


def access_key(user: str) -> str:
    """Return the access key of a user of the hub, which is also the name of their bucket."""
    return USER_PREFIX + safe_slug(user)


def name_problem(user: str) -> str | None:
    """Return why a user's name is too long for a bucket, or None."""
    longest = LONGEST_BUCKET - len(USER_PREFIX)
    if len(access_key(user)) <= LONGEST_BUCKET:
        return None
    return f"the name has {len(user)} characters, and with an object store {longest} are the most"


def policy(bucket: str, writers: Iterable[str], readers: Iterable[str] = ()) -> Policy | None:
    """Return the policy that gives rights to access keys; None if nobody has any.

    Writers read and write objects, and readers read them. Nobody may change the policy itself.
    """
    write = sorted(set(writers))
    read = sorted(set(readers) - set(write))
    everything = [*_statements(bucket, read, OF_BUCKET, OF_OBJECTS)]
    everything += _statements(bucket, write, OF_BUCKET + OF_BUCKET_TO_WRITE, OF_OBJECTS + OF_OBJECTS_TO_WRITE)
    return {"Version": VERSION, "Statement": everything} if everything else None


def _statements(
    bucket: str, keys: Sequence[str], of_bucket: Sequence[str], of_objects: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the statements that let access keys do something; none without keys."""
    if not keys:
        return []
    return [
        {
            "Effect": "Allow",
            "Principal": {"AWS": list(keys)},
            "Action": [*of_bucket, *of_objects],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
    ]


def written(document: Policy | None) -> str:
    """Return a policy as it is sent: without blanks, which would count as well."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True) if document else ""


def buckets(
    consumers: Mapping[str, Mapping[str, Any]],
    users: Iterable[str],
    shared_writers: Iterable[str],
) -> list[dict[str, Any]]:
    """Return the buckets of a platform, each with `name`, `versioned` and `policy`.

    `consumers` are the programs, {access key: {versioned: bool}}: each has a bucket of its name.
    """
    keys = {user: access_key(user) for user in users}
    writers = [keys[user] for user in shared_writers if user in keys]
    return [
        *(
            {
                "name": name,
                "versioned": bool((settings or {}).get("versioned")),
                "policy": policy(name, [name]),
            }
            for name, settings in consumers.items()
        ),
        *({"name": key, "versioned": False, "policy": policy(key, [key])} for key in keys.values()),
        {"name": SHARED, "versioned": False, "policy": policy(SHARED, writers, keys.values())},
    ]


def accounts(credentials: Mapping[str, Mapping[str, str]]) -> str:
    """Return the gateway's users.json (auth/iam_internal.go of versitygw).

    The role `user` makes no bucket and no account.
    """
    entries = {
        each["access_key"]: {
            "access": each["access_key"],
            "secret": each["secret_key"],
            "role": "user",
            "userID": 0,
            "groupID": 0,
            "projectID": 0,
        }
        for each in credentials.values()
    }
    return json.dumps({"accessAccounts": entries}, sort_keys=True)
