"""The option of modules that take images of this computer (module_utils/metalworks/images/record.py)."""

from __future__ import annotations


class ModuleDocFragment:
    """Ansible reads DOCUMENTATION of this class."""

    DOCUMENTATION = r"""
options:
  images:
    description: The records of the images, as M(image_build) and M(artifact) return them.
    type: list
    elements: path
    required: true
"""
