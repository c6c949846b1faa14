"""Filters of the role object_store: names, keys, and the Secrets that programs and users find them in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.common.slugs import safe_slug
from ansible.module_utils.metalworks.object_store.rights import access_key, accounts, buckets
from ansible.module_utils.metalworks.object_store.s3 import is_own

Keys = Mapping[str, Mapping[str, str]]

# Of all that S3 can do, dvc needs only to know where; the key comes from AWS's own files.
DVC = """[core]
    remote = store
    analytics = false
['remote "store"']
    url = s3://{bucket}/dvc
    endpointurl = {endpoint}
    region = {region}
"""


def make_credentials(keys: Sequence[str], secrets: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the keys by their names, each with the secret at the same place of the other list."""
    return {key: {"access_key": key, "secret_key": secret} for key, secret in zip(keys, secrets, strict=True)}


def uses(credentials: Keys, names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return which key is used for which bucket, in the form of object_store_probe."""
    return [{"bucket": names.get(key, key), **each} for key, each in credentials.items()]


def secrets_of(
    credentials: Keys,
    consumers: Mapping[str, Mapping[str, Any]],
    users: Iterable[str],
    place: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the Secrets of programs and users, in the form of k8s_secrets.

    `place` says where the store is: endpoint, region, the users' namespace, and names of buckets. Who has no
    key gets no Secret.
    """
    return [
        *_for_programs(credentials, consumers, place),
        *(
            _for_user(credentials[access_key(user)], user, place)
            for user in users
            if access_key(user) in credentials
        ),
    ]


def _for_programs(
    credentials: Keys, consumers: Mapping[str, Mapping[str, Any]], place: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the Secrets of programs: all that a client has to know, as variables of its environment."""
    for name, settings in consumers.items():
        for target in (settings or {}).get("secrets") or []:
            if name in credentials:
                where = {
                    "AWS_ENDPOINT_URL": place["endpoint"],
                    "AWS_DEFAULT_REGION": place["region"],
                    "S3_PREFIX": f"s3://{place['buckets'].get(name, name)}",
                }
                yield {**target, "data": {**as_variables(credentials[name]), **where}}


def as_variables(key: Mapping[str, str]) -> dict[str, str]:
    """Return a key as the variables of the environment that AWS's programs read."""
    return {"AWS_ACCESS_KEY_ID": key["access_key"], "AWS_SECRET_ACCESS_KEY": key["secret_key"]}


def _for_user(key: Mapping[str, str], user: str, place: Mapping[str, Any]) -> dict[str, Any]:
    """Return a user's Secret: AWS's files `credentials` and `config`, and dvc's configuration as `dvc`."""
    own = access_key(user)
    lines = "\n".join(f"{name.lower()} = {value}" for name, value in as_variables(key).items())
    settings = (
        f"region = {place['region']}\nendpoint_url = {place['endpoint']}\ns3 =\n  addressing_style = path"
    )
    bucket = place["buckets"].get(own, own)
    return {
        "namespace": place["namespace"],
        "name": f"object-store-{safe_slug(user)}",
        "data": {
            "credentials": f"[default]\n{lines}\n",
            "config": f"[default]\n{settings}\n",
            "dvc": DVC.format(bucket=bucket, **{name: place[name] for name in ("endpoint", "region")}),
        },
    }


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "object_store_accounts": accounts,
            "object_store_bucket_list": buckets,
            "object_store_credentials": make_credentials,
            "object_store_is_own": is_own,
            "object_store_key": access_key,
            "object_store_secrets": secrets_of,
            "object_store_uses": uses,
        }
