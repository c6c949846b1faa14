#!/usr/bin/python
"""Read the ssh key of a machine of AWS from its console."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_host_key
short_description: The public ssh key that a machine printed to its console
description:
  - cloud-init prints a machine's public ssh keys to its console at the first boot. The API of AWS gives what
    the console shows, so that the key is known before the first connection by ssh. No module of C(amazon.aws)
    reads the console.
  - The console shows them some time after the machine has started, and not after a later boot. So the
    module waits, and whoever calls it keeps the answer.
  - Credentials come from the environment or from a profile, as boto3 finds them. Changes nothing.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  instance_id:
    description: The machine.
    type: str
    required: true
  region:
    description: Its region.
    type: str
    required: true
  timeout:
    description: For how many seconds the console is asked again.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Read the machine's key
  ec2_host_key:
    instance_id: i-0123456789abcdef0
    region: eu-central-1
  register: machine
"""

RETURN = r"""
key:
  description: Type and key, as known_hosts has them behind the name.
  type: str
  returned: always
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.aws.plan import host_key
from ansible.module_utils.metalworks.common.options import options_of

ARGUMENTS = options_of(DOCUMENTATION)
PAUSE_SECONDS = 5


def wait_for_key(client: Any, instance: str, seconds: float) -> str:
    """Return the key as soon as the console shows it; empty if it does not within these seconds."""
    end = time.monotonic() + seconds
    while True:
        key = str(host_key(console(client, instance)))
        if key or time.monotonic() >= end:
            return key
        time.sleep(PAUSE_SECONDS)


def console(client: Any, instance: str) -> str:
    """Return what a machine's console shows, the newest that its kind of machine can give.

    Without `Latest`, AWS answers with an older picture. Only machines of the Nitro system
    can give the newest.
    """
    from botocore.exceptions import ClientError

    try:
        answer = client.get_console_output(InstanceId=instance, Latest=True)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("UnsupportedOperation", "InvalidParameterCombination"):
            raise
        answer = client.get_console_output(InstanceId=instance)
    return str(answer.get("Output") or "")


def main() -> None:
    """Wait for the key, and return it or fail with what to do."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    instance, seconds = module.params["instance_id"], module.params["timeout"]
    try:
        client = boto3.client("ec2", region_name=module.params["region"])
        key = wait_for_key(client, instance, seconds)
    except (BotoCoreError, ClientError) as error:
        module.fail_json(msg=f"The console of {instance} cannot be read: {error}")
    if not key:
        module.fail_json(
            msg=f"The console of {instance} has shown no ssh key within {seconds} s. Look at it at "
            "AWS (Actions, Monitor and troubleshoot, Get system log): the image needs cloud-init, which "
            "prints the keys. Nothing was connected to"
        )
    module.exit_json(changed=False, key=key)


if __name__ == "__main__":
    main()
