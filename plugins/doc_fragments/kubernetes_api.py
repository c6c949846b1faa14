"""The options of modules that ask a cluster's API (module_utils/metalworks/kubernetes/api.py, ARGUMENTS)."""

from __future__ import annotations


class ModuleDocFragment:
    """Ansible reads DOCUMENTATION of this class."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description: The kubeconfig file. Without it E(KUBECONFIG), then C(~/.kube/config).
    type: path
  context:
    description: The context in it. Without it the current one.
    type: str
"""
