"""The options of modules that ask a registry (module_utils/metalworks/images/registry.py, ARGUMENTS)."""

from __future__ import annotations


class ModuleDocFragment:
    """Ansible reads DOCUMENTATION of this class."""

    DOCUMENTATION = r"""
options:
  address:
    description: >-
      The registry's host and port. It must speak TLS, unless it is on this computer (V(localhost:5000)).
    type: str
    required: true
  username:
    description: The name to log in with. Without it there is no login.
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
"""
