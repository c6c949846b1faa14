#!/usr/bin/python
"""Have images in a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_push
short_description: Have images in a registry
description:
  - Compares images of the operator's computer with what a registry has, and pushes what it lacks. A layer
    that several images share is sent once.
  - An image keeps its layers and its digest. C(metalworks.local/hub:1) becomes C(ADDRESS/REPOSITORY/hub:1).
  - Runs on the operator's computer.
author: Metalworks
options:
  images:
    description: The records of the images, as M(image_build) and M(artifact) return them.
    type: list
    elements: path
    required: true
  address:
    description: >-
      The registry's host and port. It is spoken to with TLS, unless it is this computer (V(localhost:5000)).
    type: str
    required: true
  repository:
    description: The place in the registry under which the images go. Empty means its root.
    type: str
    default: metalworks
  username:
    description: Who pushes. Without it, nobody in particular does.
    type: str
    default: ""
  password:
    description: The password, or an access token.
    type: str
    default: ""
  ca:
    description: The CA that signed the registry's certificate, in PEM. Without it, this computer's own.
    type: str
    default: ""
attributes:
  check_mode:
    description: Asks the registry what it has, and says what would be sent.
    support: full
  diff_mode:
    description: Shows the images that come.
    support: full
  idempotent:
    description: Sends nothing that is there.
    support: full
"""

EXAMPLES = r"""
- name: Have the notebook images in the registry
  image_push:
    images: ["{{ minimal.record }}", "{{ datascience.record }}"]
    address: registry.example:5000
    username: robot
    password: "{{ vault_registry_password }}"
    ca: "{{ lookup('ansible.builtin.file', inventory_dir ~ '/registry-ca.crt') }}"
"""

RETURN = r"""
images:
  description: One entry per image.
  type: list
  elements: dict
  returned: always
  sample:
    - reference: registry.example:5000/metalworks/hub:5.5.0-f0a64477
      digest: sha256:486d
      present: false
bytes:
  description: What was sent, or would be in check mode.
  type: int
  returned: always
seconds:
  description: How long it took.
  type: float
  returned: always
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.artifacts.cache import cache_root
from ansible.module_utils.metalworks.images.oci import BlobStore, Record
from ansible.module_utils.metalworks.images.registry import (
    Registry,
    RegistryError,
    Step,
    Target,
    plan,
    pushed,
    target,
)

ARGUMENTS: dict[str, Any] = {
    "images": {"type": "list", "elements": "path", "required": True},
    "address": {"type": "str", "required": True},
    "repository": {"type": "str", "default": "metalworks"},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "ca": {"type": "str", "default": ""},
}


def load(paths: list[str], store: BlobStore, check: bool) -> list[Record]:
    """Read the records. In check mode an image that is yet to be built has none."""
    records = [Record.load(Path(path)) for path in paths if not check or Path(path).exists()]
    for record in records:
        if not store.has(record.blobs):
            raise RegistryError(
                f"{record.reference}: layers are missing from {store.root}; build the image again"
            )
    return records


def read(
    registry: Registry, targets: list[Target]
) -> tuple[dict[tuple[str, str], str], set[tuple[str, str]]]:
    """Ask what each tag means, and which blobs are there: all of an image that is, else one by one."""
    digests = {(each.repository, each.tag): registry.digest(each.repository, each.tag) for each in targets}
    there = {
        (each.repository, blob.digest)
        for each in targets
        for blob in each.record.blobs
        if digests[each.repository, each.tag] == each.record.manifest_digest
        or (blob != each.record.manifest and registry.has(each.repository, blob.digest))
    }
    return digests, there


def answer(params: dict[str, Any], targets: list[Target], steps: list[Step]) -> dict[str, Any]:
    """Return what is said about the images."""
    coming = {(step.repository, step.tag) for step in steps if step.tag}
    images = [
        {
            "reference": pushed(each.record.reference, params["address"], params["repository"]),
            "digest": each.record.manifest_digest,
            "present": (each.repository, each.tag) not in coming,
        }
        for each in targets
    ]
    names = [image["reference"] for image in images if not image["present"]]
    return {
        "changed": bool(steps),
        "images": images,
        "bytes": sum(step.bytes for step in steps),
        "diff": {"before": "", "after": "".join(f"{name}\n" for name in names)},
    }


def main() -> None:
    """Say what the registry lacks, and send it."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, store, start = module.params, BlobStore(cache_root() / "blobs"), time.monotonic()
    try:
        records = load(params["images"], store, module.check_mode)
        targets = [target(record, params["repository"]) for record in records]
        with Registry(*(params[key] for key in ("address", "username", "password", "ca"))) as registry:
            steps = plan(targets, *read(registry, targets))
            told = answer(params, targets, steps)
            for step in steps if not module.check_mode else ():
                registry.take(step, store)
    except (RegistryError, FileNotFoundError) as error:
        module.fail_json(msg=str(error))
    coming = len(records) < len(params["images"])
    seconds = round(time.monotonic() - start, 1)
    module.exit_json(**{**told, "changed": told["changed"] or coming, "seconds": seconds})


if __name__ == "__main__":
    main()
