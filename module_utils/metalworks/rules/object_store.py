"""Rules for the object store: its size and place, its users, and a store that somebody else runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..common.suggestions import did_you_mean
from ..object_store.rights import (
    LONGEST_POLICY,
    SHARED,
    USER_PREFIX,
    access_key,
    buckets,
    name_problem,
    written,
)
from ..object_store.s3 import endpoint_problem, is_own
from .names import unusable_names
from .platform import Platform
from .sizes import unusable_sizes

# Names that S3 takes for buckets. Those with dots are left out, because no certificate fits them.
BUCKET = re.compile(r"[a-z0-9][-a-z0-9]{1,61}[a-z0-9]\Z")
MOST_RESERVED = 50
# The secret of the store's own key is kept under this name, as those of programs are under theirs.
ROOT = "root"
# In MiB: a gateway requests 48 and takes some 30 at rest.
LEAST = {"object_store_size": 0, "object_store_memory_limit": 64}


def store_size(platform: Platform) -> Iterator[str]:
    """Refuse a size that is none, and a share of the disk that leaves nothing."""
    yield from unusable_sizes(platform, LEAST)
    percent = platform.values["object_store_reserve_percent"]
    if not 0 <= int(percent) <= MOST_RESERVED:
        yield f"object_store_reserve_percent is {percent}: write one of 0 to {MOST_RESERVED}"
    for name, least in (("sync_seconds", 0), ("keep_uploads_days", 1), ("replicas", 1)):
        if int(platform.values[f"object_store_{name}"]) < least:
            yield f"object_store_{name} is {platform.values[f'object_store_{name}']}: write {least} or more"


def store_names(platform: Platform) -> Iterator[str]:
    """Refuse names that Kubernetes or S3 do not accept."""
    examples = {"object_store_namespace": "object-store"}
    yield from unusable_names(platform, examples, "object_store_storage_class")
    # The default makes a secret, which nothing does before the inventory is accepted.
    given = platform.values["object_store_root"] if platform.gives("object_store_root") else {}
    own = {ROOT, given.get("access_key", ROOT)}
    for name in platform.values["object_store_consumers"]:
        if not BUCKET.match(str(name)):
            yield (
                f"object_store_consumers has the name {name!r}, which cannot be a bucket's: write 3 to 63 "
                "small letters, digits and '-'"
            )
        elif name in own:
            yield (
                f"object_store_consumers has the name {name!r}, which is that of the store's own key with "
                "all rights: write another one"
            )
        elif name == SHARED or str(name).startswith(USER_PREFIX):
            yield (
                f"object_store_consumers has the name {name!r}: {SHARED} and names with {USER_PREFIX} are "
                "the users' buckets; write another one"
            )


def store_growth(platform: Platform) -> Iterator[str]:
    """Refuse several gateways on a volume that only one node can mount."""
    replicas = int(platform.values["object_store_replicas"])
    if replicas > 1 and not platform.values["object_store_storage_class"]:
        yield (
            f"object_store_replicas is {replicas}: several gateways share one volume, which the default "
            "storage class rarely gives; name a class with ReadWriteMany in object_store_storage_class"
        )


def store_users(platform: Platform) -> Iterator[str]:
    """Refuse users whose names are too long for a bucket, and shared rights that the store cannot hold."""
    users = _users(platform)
    for user in users:
        if problem := name_problem(user):
            yield f"object_store_users, user {user!r}: {problem}"
    writers = list(platform.values["object_store_shared_writers"])
    for writer in writers:
        if writer not in users:
            hint = did_you_mean(writer, users)
            yield f"object_store_shared_writers names {writer!r}, who is no user of the store{hint}"
    shared = next(each for each in buckets({}, users, writers) if each["name"] == SHARED)
    if (length := len(written(shared["policy"]))) > LONGEST_POLICY and _own(platform):
        yield (
            f"object_store_users has {len(users)} users, and the rights of the bucket {SHARED} would "
            f"take {length} bytes of the {LONGEST_POLICY} that every file system holds: list fewer users in "
            "object_store_users"
        )


def store_of_others(platform: Platform) -> Iterator[str]:
    """Refuse a store of somebody else without its keys, and an address that is none."""
    if _own(platform):
        return
    if problem := endpoint_problem(platform.values["object_store_endpoint"]):
        yield f"object_store_endpoint {problem}"
    if not platform.gives("object_store_credentials"):
        yield (
            "object_store_endpoint names a store that somebody else runs, and its keys are missing: write "
            "them into object_store_credentials, as {mlflow: {access_key: ..., secret_key: ...}}"
        )
        return
    known = [*platform.values["object_store_consumers"], *map(access_key, _users(platform))]
    given: Mapping[str, Any] = platform.values["object_store_credentials"]
    for name, keys in given.items():
        if name not in known:
            hint = did_you_mean(name, known)
            yield f"object_store_credentials has keys for {name!r}, which nobody uses{hint}"
        if not isinstance(keys, Mapping) or not keys.get("access_key") or not keys.get("secret_key"):
            yield f"object_store_credentials, {name}: write access_key and secret_key"
    own_namespace = platform.values["object_store_namespace"]
    for name, settings in platform.values["object_store_consumers"].items():
        secrets = (settings or {}).get("secrets") or []
        # No program runs in the store's own namespace: a Secret there is for one that comes later.
        if name not in given and any(each.get("namespace") != own_namespace for each in secrets):
            yield f"object_store_credentials has no keys for {name}, which is installed: write them"


def _own(platform: Platform) -> bool:
    own: bool = is_own(
        str(platform.values["object_store_endpoint"]), str(platform.values["object_store_namespace"])
    )
    return own


def _users(platform: Platform) -> Sequence[str]:
    return [str(user) for user in platform.values["object_store_users"] or []]


PART = "object_store"
