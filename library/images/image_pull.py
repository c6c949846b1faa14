#!/usr/bin/python
"""Have an image of a registry in the Docker of the operator's computer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_pull
short_description: Have an image of a registry in Docker
description:
  - Makes an image of a registry one on which M(image_build) can build, without settings of Docker itself.
  - An image that was built on this computer is not pulled.
  - Runs on the operator's computer, which needs C(skopeo) 1.6 or newer.
author: Metalworks
extends_documentation_fragment: [registry_login]
options:
  image:
    description: The image's name in the registry, with its digest.
    type: str
    required: true
attributes:
  check_mode:
    description: Says whether the image would be pulled.
    support: full
  diff_mode:
    description: Shows no differences.
    support: none
  idempotent:
    description: Pulls no image that Docker has.
    support: full
"""

EXAMPLES = r"""
- name: Have the image that was published
  image_pull:
    image: "{{ model_image }}"
    address: registry.example:5000
    username: robot
    password: "{{ vault_registry_password }}"
  register: pulled
"""

RETURN = r"""
reference:
  description: The image's name in Docker.
  type: str
  returned: success
  sample: metalworks.local/model:1.0.0-0f3a77b2
"""

import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.artifacts.cache import cache_root
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.images.build import ImageCache
from ansible.module_utils.metalworks.images.docker import DockerError, docker, has_image
from ansible.module_utils.metalworks.images.names import by_digest, pulled_name
from ansible.module_utils.metalworks.images.registry import ARGUMENTS as REGISTRY_ARGUMENTS
from ansible.module_utils.metalworks.images.registry import Registry, RegistryError

ARGUMENTS = {**options_of(DOCUMENTATION), **REGISTRY_ARGUMENTS}


def name_here(image: str, images: ImageCache) -> str:
    """Return the name of an image in Docker: the one it was built under, if that was done here."""
    path, _, digest = by_digest(image).partition("@")
    record = images.find_digest(path.rpartition("/")[2], digest)
    if record and has_image(record.reference):
        return str(record.reference)
    return str(pulled_name(image))


def pull(params: dict[str, Any], reference: str) -> None:
    """Bring the image into Docker."""
    with (
        tempfile.TemporaryDirectory(prefix="metalworks-image-") as folder,
        Registry(*(params[key] for key in ("address", "username", "password", "ca"))) as registry,
    ):
        archive = Path(folder) / "image.tar"
        registry.pull(params["image"], archive, reference)
        docker("load", "--quiet", "--input", str(archive))


def main() -> None:
    """Pull the image unless Docker has it."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    image = module.params["image"]
    if "@sha256:" not in image:
        module.fail_json(msg=f"image: {image} has no digest; write name@sha256:...")
    try:
        reference = name_here(image, ImageCache(cache_root()))
        missing = not has_image(reference)
        if missing and not module.check_mode:
            pull(module.params, reference)
    except (DockerError, RegistryError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=missing, reference=reference)


if __name__ == "__main__":
    main()
