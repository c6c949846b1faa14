#!/usr/bin/python
"""Build a container image once for each content."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_build
short_description: Build a container image once for each content
description:
  - Builds a folder with a Dockerfile on the operator's computer and keeps the image as a record and
    compressed layers, ready for M(image_send).
  - The image's name ends in a hash of everything that it is built from. So the same content is built and sent
    once, and another content has another name.
  - Package mirrors, proxies and certificates of the computer are given to the build as secrets, and no
    layer holds them.
author: Metalworks
options:
  name:
    description: The image's name, without registry and tag.
    type: str
    required: true
  version:
    description: The first part of the tag.
    type: str
    default: "1"
  context:
    description: The folder with the Dockerfile. A relative path starts at the folder of artifacts.yml.
    type: path
    required: true
  base:
    description: The image to build on. The Dockerfile gets it as the argument C(BASE_IMAGE).
    type: str
    default: ""
  arguments:
    description: More build arguments. They can be read in the image, so no secret belongs here.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Says whether a build is due.
    support: full
  diff_mode:
    description: Shows the new reference.
    support: full
  idempotent:
    description: Builds once for each content.
    support: full
"""

EXAMPLES = r"""
- name: Build the data science notebook
  image_build:
    name: notebook-datascience
    context: files/jupyter/datascience
    base: quay.io/jupyter/minimal-notebook:2026-06-08
  register: notebook
  delegate_to: localhost
"""

RETURN = r"""
reference:
  description: The image's name for pods.
  type: str
  returned: always
  sample: metalworks.local/notebook-datascience:1-0f3a77b2
record:
  description: The image record that M(image_send) sends to nodes.
  type: str
  returned: always
bytes:
  description: The size of the image as it is sent; 0 in check mode when it is not built yet.
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
from ansible.module_utils.metalworks.artifacts.catalogue import CatalogueError, find_catalogue
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.images.build import ImageCache, Wanted, run_quietly
from ansible.module_utils.metalworks.images.docker import DockerError

ARGUMENTS = options_of(DOCUMENTATION)


def wanted_from(params: dict[str, Any]) -> Wanted:
    """Return the wanted image of the module's parameters; CatalogueError if there is no Dockerfile."""
    context = Path(params["context"])
    if not context.is_absolute():
        context = find_catalogue(Path.cwd()).parent / context
    if not (context / "Dockerfile").is_file():
        raise CatalogueError(f"context: there is no Dockerfile in {context}")
    arguments = {str(name): str(value) for name, value in params["arguments"].items()}
    return Wanted(params["name"], params["version"], context, params["base"], arguments)


def ensure(wanted: Wanted, images: ImageCache, check: bool) -> dict[str, Any]:
    """Build the image if need be (not in check mode), and return the module's result."""
    key = wanted.key
    reference = wanted.reference(key)
    start = time.monotonic()
    found = images.find(wanted.name, key)
    changed = found is None
    if not check:
        found, changed = images.ensure(wanted, run_quietly, key)
    return {
        "changed": changed,
        "reference": reference,
        "record": str(images.record_path(wanted.name, key)),
        "bytes": sum(blob.size for blob in found.blobs) if found else 0,
        "seconds": round(time.monotonic() - start, 1),
        "diff": {"before": "" if changed else f"{reference}\n", "after": f"{reference}\n"},
    }


def main() -> None:
    """Build the image if need be, and return its name and record."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**ensure(wanted_from(module.params), ImageCache(cache_root()), module.check_mode))
    except (CatalogueError, DockerError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
