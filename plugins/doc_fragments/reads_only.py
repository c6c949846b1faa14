"""The attributes of modules that change nothing."""

from __future__ import annotations


class ModuleDocFragment:
    """Ansible reads DOCUMENTATION of this class."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""
