#!/usr/bin/python
"""Bring images to a k3s node: only missing layers are sent, and the images are pinned."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_send
short_description: Bring images to a k3s node
description:
  - Compares images with what the node's containerd has, sends the layers that it lacks in one archive over
    Ansible's own connection, and imports them. A layer that several images share is sent once.
  - Pins the images, so that the kubelet's garbage collection keeps them. Without a registry they could not be
    pulled again.
  - An action plugin reads the records and the layers on the operator's computer; the module runs on the node.
author: Metalworks
options:
  images:
    description: The records of the images, as M(image_build) and M(artifact) return them.
    type: list
    elements: path
    required: true
  records:
    description: The content of the records. Filled in by the action plugin.
    type: list
    elements: dict
    default: []
  architectures:
    description: What each image is built for, by its reference. Filled in by the action plugin.
    type: dict
    default: {}
  archive:
    description: The archive of missing layers on the node. Filled in by the action plugin.
    type: path
attributes:
  check_mode:
    description: Says what would be sent, also on a node without k3s.
    support: full
  diff_mode:
    description: Shows the images that are sent.
    support: full
  idempotent:
    description: Sends no layer that the node has.
    support: full
"""

EXAMPLES = r"""
- name: Bring the notebook images to the node
  image_send:
    images:
      - "{{ minimal.record }}"
      - "{{ datascience.record }}"
"""

RETURN = r"""
images:
  description: One entry per image.
  type: list
  elements: dict
  returned: always
  sample:
    - reference: metalworks.local/hub:5.5.0-f0a64477
      digest: sha256:486d
      present: false
      sent: true
      bytes: 49041319
lacking:
  description: The digests that the node lacked before.
  type: list
  elements: str
  returned: always
bytes:
  description: How many bytes were sent, or would be sent in check mode.
  type: int
  returned: always
seconds:
  description: How long sending and importing took.
  type: float
  returned: always
"""

import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.run import Run, runner
from ansible.module_utils.metalworks.images.record import Record
from ansible.module_utils.metalworks.node import images as node_images
from ansible.module_utils.metalworks.node.images import NOTHING, Found, NodeError, Plan

ARGUMENTS: dict[str, Any] = {
    "images": {"type": "list", "elements": "path", "required": True},
    "records": {"type": "list", "elements": "dict", "default": []},
    "architectures": {"type": "dict", "default": {}},
    "archive": {"type": "path"},
}


def read(run: Run, check: bool) -> Found:
    """Return what the node has. In check mode a node without k3s has nothing."""
    try:
        return node_images.read(run)
    except NodeError:
        if check:
            return NOTHING
        raise


def answer(records: list[Record], found: Found, steps: Plan) -> dict[str, Any]:
    """Return the module's result as it is known before anything is done."""
    names = [record.reference for record in steps.deliver]
    return {
        "changed": steps.changed,
        "images": node_images.report(records, found, steps),
        "lacking": [blob.digest for blob in steps.lacking],
        "bytes": steps.bytes,
        "seconds": 0.0,
        "diff": {"before": "", "after": "".join(f"{name}\n" for name in names)},
    }


def main() -> None:
    """Return what the node lacks; if an archive was sent, import it."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    records = [Record.from_fields(fields) for fields in module.params["records"]]
    if len(records) != len(module.params["images"]):
        module.fail_json(msg="image_send works through its action plugin: set action_plugins in ansible.cfg")
    run, archive = runner(module), module.params["archive"]
    try:
        node_images.refuse_foreign(module.params["architectures"], platform.machine())
        found = read(run, module.check_mode)
        steps = node_images.plan(records, found)
        result = answer(records, found, steps)
        if steps.changed and not module.check_mode and (archive or not steps.deliver):
            node_images.apply(run, steps, archive)
            left = node_images.plan(records, node_images.read(run))
            if left.changed:
                raise NodeError(f"containerd imported the images, and still lacks {left.lacking or left.pin}")
    except NodeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
