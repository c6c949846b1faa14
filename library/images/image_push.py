#!/usr/bin/python
"""Push images to a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_push
short_description: Push images to a registry
description:
  - Compares images of the operator's computer with those of a registry, and pushes the missing ones.
    Layers that it has already are not sent again.
  - An image keeps its layers and its digest. C(metalworks.local/hub:1) becomes C(ADDRESS/REPOSITORY/hub:1).
  - Runs on the operator's computer, which needs C(skopeo) 1.6 or newer.
author: Metalworks
extends_documentation_fragment: [registry_login]
options:
  images:
    description: The records of the images, as M(image_build) and M(artifact) return them.
    type: list
    elements: path
    required: true
  repository:
    description: The place in the registry under which the images go. Empty means its root.
    type: str
    default: metalworks
attributes:
  check_mode:
    description: Asks the registry what it has, and says which images would be pushed.
    support: full
  diff_mode:
    description: Shows the images that are pushed.
    support: full
  idempotent:
    description: Pushes no image that the registry has.
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
  description:
    - The size of the images that were pushed, or would be in check mode, each layer counted once. Layers
      that the registry had from elsewhere were not sent.
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
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.images.names import in_registry
from ansible.module_utils.metalworks.images.oci import BlobStore
from ansible.module_utils.metalworks.images.record import Record
from ansible.module_utils.metalworks.images.registry import ARGUMENTS as REGISTRY_ARGUMENTS
from ansible.module_utils.metalworks.images.registry import DeniedError, Registry, RegistryError, plan

ARGUMENTS = {**options_of(DOCUMENTATION), **REGISTRY_ARGUMENTS}


def load(paths: list[str], store: BlobStore, check: bool) -> list[Record]:
    """Return the image records. In check mode an image that is not built yet has none."""
    records = [Record.load(Path(path)) for path in paths if not check or Path(path).exists()]
    for record in records:
        if not store.has(record.blobs):
            raise RegistryError(
                f"{record.reference}: layers are missing from {store.root}; build the image again"
            )
    return records


def read(registry: Registry, names: list[str], check: bool) -> dict[str, str]:
    """Return the digest of the manifest of each name that the registry has.

    Some registries refuse questions about images that they do not have. So a refusal counts only in check
    mode; otherwise the push itself shows whether the login is accepted.
    """
    found = {}
    for name in names:
        try:
            found[name] = registry.digest(name)
        except DeniedError:
            if check:
                raise
    return found


def answer(wanted: list[tuple[str, Record]], pushed: list[tuple[str, Record]]) -> dict[str, Any]:
    """Return the module's result; the bytes of a shared layer count once."""
    blobs = {blob for _, record in pushed for blob in record.blobs}
    names = [name for name, _ in pushed]
    return {
        "changed": bool(pushed),
        "images": [
            {"reference": name, "digest": record.manifest_digest, "present": name not in names}
            for name, record in wanted
        ],
        "bytes": sum(blob.size for blob in blobs),
        "diff": {"before": "", "after": "".join(f"{name}\n" for name in names)},
    }


def main() -> None:
    """Find the images that the registry lacks, and push them."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, store, start = module.params, BlobStore(cache_root() / "blobs"), time.monotonic()
    try:
        records = load(params["images"], store, module.check_mode)
        places = [
            in_registry(record.reference, params["address"], params["repository"]) for record in records
        ]
        wanted = list(zip(places, records, strict=True))
        with Registry(*(params[key] for key in ("address", "username", "password", "ca"))) as registry:
            pushed = plan(wanted, read(registry, places, module.check_mode))
            for name, record in pushed if not module.check_mode else ():
                registry.push(name, record, store)
    except (RegistryError, FileNotFoundError) as error:
        module.fail_json(msg=str(error))
    result = answer(wanted, pushed)
    unbuilt = len(records) < len(params["images"])
    seconds = round(time.monotonic() - start, 1)
    module.exit_json(**{**result, "changed": result["changed"] or unbuilt, "seconds": seconds})


if __name__ == "__main__":
    main()
