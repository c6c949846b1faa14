#!/usr/bin/python
"""Make the buckets of an object store, and give rights in them by policies."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_store_buckets
short_description: Buckets, their versions and who may use them
description:
  - Makes buckets that are missing, and sets whether former versions are kept, and the policy of each.
  - Waits until the store knows all accounts, because a policy may name only accounts that are there.
  - Drops uploads that were begun long ago and never finished. They take room, and no list shows them.
  - Buckets that are not listed are left alone, with all that is in them.
  - Reaches the store through the cluster's API, at a port of one of its pods.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  namespace:
    description: The namespace of the store.
    type: str
    required: true
  selector:
    description: A label selector of its pods.
    type: str
    default: app.kubernetes.io/name=object-store
  port:
    description: The port of S3 in a pod.
    type: int
    default: 7071
  region:
    description: The region that requests are signed for.
    type: str
    default: us-east-1
  root:
    description: The key that may do all.
    type: dict
    required: true
    suboptions:
      access_key: &access_key
        description: The access key.
        type: str
        no_log: false
        required: true
      secret_key: &secret_key
        description: The secret key.
        type: str
        no_log: true
        required: true
  accounts:
    description: The keys that the store has to know before rights are given.
    type: list
    elements: dict
    default: []
    suboptions:
      access_key: *access_key
      secret_key: *secret_key
  buckets:
    description: The wanted buckets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name.
        type: str
        required: true
      versioned:
        description: Whether former versions of objects are kept.
        type: bool
        default: false
      policy:
        description: The policy as S3 has it. Without one, only the root key may do anything.
        type: dict
  keep_uploads_days:
    description: Unfinished uploads that are older are dropped.
    type: int
    default: 7
  wait_seconds:
    description: How long to wait for the accounts.
    type: int
    default: 180
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: Shows buckets and policies, which hold no secret.
    support: full
  idempotent:
    description: Compares policies by their content.
    support: full
"""

EXAMPLES = r"""
- name: Give ada a bucket
  object_store_buckets:
    namespace: object-store
    root: "{{ store_root }}"
    accounts: ["{{ ada_key }}"]
    buckets:
      - name: ada
        policy: "{{ ada_policy }}"
"""

RETURN = r"""
steps:
  description: What was done, one sentence each.
  type: list
  elements: str
  returned: always
  sample: [make the bucket ada, set the rights in ada]
"""

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.object_store.plan import (
    Bucket,
    Found,
    Step,
    Upload,
    plan,
    written_policy,
)
from ansible.module_utils.metalworks.object_store.s3 import code_of, make_client, meaning

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
# Answers that mean: the store does not have this account, or has it with another key.
UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied")


class StoreError(Exception):
    """The store refuses something, or does not know an account in time."""


def main() -> None:
    """Bring the buckets to what is wanted."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        with forwarded(api, params["namespace"], params["selector"], params["port"]) as address:
            result = bring_about(module, f"http://{address}")
    except (ApiError, StoreError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def bring_about(module: AnsibleModule, endpoint: str) -> dict[str, Any]:
    """Read, plan, and do the steps. StoreError says what the store refuses."""
    params = module.params
    wanted = [Bucket(each["name"], each["versioned"], each["policy"]) for each in params["buckets"]]
    client = make_client(endpoint, **params["root"], region=params["region"], near=True)
    with told(params["root"]["access_key"]):
        found = read(client, [bucket.name for bucket in wanted])
    steps = plan(wanted, found, params["keep_uploads_days"], datetime.now(UTC))
    if not module.check_mode:
        # A policy may name only accounts that are there, and a new one takes a moment to get into the pods.
        wait_for_accounts(endpoint, params)
        for step in steps:
            with told(params["root"]["access_key"], step.bucket):
                do(client, step)
    return {
        "changed": bool(steps),
        "steps": [step.sentence for step in steps],
        "diff": {"before": listing(found.buckets.values()), "after": listing(wanted)},
    }


@contextlib.contextmanager
def told(key: str, bucket: str = "") -> Any:
    """Turn an error of S3 into a StoreError that a person understands."""
    try:
        yield
    except Exception as error:
        from botocore.exceptions import BotoCoreError, ClientError

        if not isinstance(error, (BotoCoreError, ClientError)):
            raise
        raise StoreError(meaning(error, "the object store", key, bucket)) from error


def read(client: Any, names: Iterable[str]) -> Found:
    """Return which of the buckets are there, with what is set for them, and their unfinished uploads."""
    there = {each["Name"] for each in client.list_buckets().get("Buckets", [])}
    buckets: dict[str, Bucket] = {}
    uploads: list[Upload] = []
    for name in names:
        if name in there:
            status = client.get_bucket_versioning(Bucket=name).get("Status")
            buckets[name] = Bucket(name, status == "Enabled", read_policy(client, name))
            uploads += read_uploads(client, name)
    return Found(buckets, uploads)


def read_policy(client: Any, bucket: str) -> Mapping[str, Any] | None:
    """Return a bucket's policy, or None if it has none."""
    try:
        found: Mapping[str, Any] = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
    except client.exceptions.ClientError as error:
        if code_of(error) == "NoSuchBucketPolicy":
            return None
        raise
    return found


def read_uploads(client: Any, bucket: str) -> list[Upload]:
    """Return the unfinished uploads of a bucket."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    return [
        Upload(bucket, each["Key"], each["UploadId"], each["Initiated"])
        for page in pages
        for each in page.get("Uploads", [])
    ]


def do(client: Any, step: Step) -> None:
    """Do one step."""
    if step.what == "create":
        client.create_bucket(Bucket=step.bucket)
    elif step.what in ("version", "suspend"):
        status = "Enabled" if step.what == "version" else "Suspended"
        client.put_bucket_versioning(Bucket=step.bucket, VersioningConfiguration={"Status": status})
    elif step.what == "allow":
        client.put_bucket_policy(Bucket=step.bucket, Policy=step.policy)
    elif step.what == "forbid":
        client.delete_bucket_policy(Bucket=step.bucket)
    elif step.upload:
        upload = step.upload
        client.abort_multipart_upload(Bucket=step.bucket, Key=upload.key, UploadId=upload.identity)


def wait_for_accounts(endpoint: str, params: Mapping[str, Any]) -> None:
    """Wait until the store knows every account; StoreError names those that it does not know in time."""
    end = time.monotonic() + params["wait_seconds"]
    missing = list(params["accounts"])
    while True:
        missing = [each for each in missing if not is_known(endpoint, each, params["region"])]
        if not missing:
            return
        if time.monotonic() > end:
            names = ", ".join(each["access_key"] for each in missing)
            raise StoreError(
                f"the object store does not know {names} after {params['wait_seconds']} s: is the Secret "
                f"with its accounts mounted in its pods?"
            )
        time.sleep(1)


def is_known(endpoint: str, account: Mapping[str, str], region: str) -> bool:
    """Return whether the store knows an account with this key: it may then list its buckets, and has none."""
    client = make_client(endpoint, account["access_key"], account["secret_key"], region, near=True)
    try:
        with told(account["access_key"]):
            try:
                client.list_buckets()
            except client.exceptions.ClientError as error:
                if code_of(error) in UNKNOWN:
                    return False
                raise
    finally:
        client.close()
    return True


def listing(buckets: Iterable[Bucket]) -> str:
    """Return one side of the diff."""
    lines: list[str] = []
    for each in sorted(buckets, key=lambda bucket: bucket.name):
        lines.append(f"{each.name}{', with former versions' if each.versioned else ''}\n")
        lines.append(f"  {written_policy(each) or 'no rights'}\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
