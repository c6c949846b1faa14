#!/usr/bin/python
"""Ask an S3 store that somebody else runs whether it can be used."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_store_probe
short_description: Find what keeps a store of somebody else from being used
description:
  - Lists one object of each bucket, with the key that will be used for it. So it notices a store that is
    unreachable, a wrong key, a missing bucket and a bucket that is somebody else's.
  - Asks from this computer. Changes nothing.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  endpoint:
    description: The store's address, like V(https://s3.example.com).
    type: str
    required: true
  region:
    description: The region that requests are signed for.
    type: str
    default: us-east-1
  uses:
    description: Which key is used for which bucket.
    type: list
    elements: dict
    required: true
    suboptions:
      bucket:
        description: The bucket.
        type: str
        required: true
      access_key:
        description: The access key.
        type: str
        no_log: false
        required: true
      secret_key:
        description: The secret key.
        type: str
        no_log: true
        required: true
"""

EXAMPLES = r"""
- name: Ask the company's store
  object_store_probe:
    endpoint: https://s3.example.com
    uses: [{bucket: our-models, access_key: "{{ key }}", secret_key: "{{ secret }}"}]
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each.
  type: list
  elements: str
  returned: always
  sample: ["https://s3.example.com has no bucket our-models: make it, or name another one"]
"""

from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.object_store.s3 import code_of, make_client, meaning

ARGUMENTS = options_of(DOCUMENTATION)


def problem(endpoint: str, region: str, use: Mapping[str, str]) -> tuple[str, bool] | None:
    """Return what is wrong with one use, and whether the store answered at all; None if nothing is."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = make_client(endpoint, use["access_key"], use["secret_key"], region)
    try:
        client.list_objects_v2(Bucket=use["bucket"], MaxKeys=1)
    except (BotoCoreError, ClientError) as error:
        return meaning(error, endpoint, use["access_key"], use["bucket"]), bool(code_of(error))
    finally:
        client.close()
    return None


def problems(endpoint: str, region: str, uses: list[Mapping[str, str]]) -> list[str]:
    """Return what is wrong, each sentence once. A store that does not answer is asked once."""
    found: list[str] = []
    for use in uses:
        wrong = problem(endpoint, region, use)
        if wrong:
            found.append(wrong[0])
            if not wrong[1]:
                break
    return list(dict.fromkeys(found))


def main() -> None:
    """Ask the store and return what is wrong."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    module.exit_json(changed=False, problems=problems(params["endpoint"], params["region"], params["uses"]))


if __name__ == "__main__":
    main()
