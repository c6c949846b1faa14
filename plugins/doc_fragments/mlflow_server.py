"""The options of modules that ask MLflow (module_utils/metalworks/mlflow/api.py, ARGUMENTS)."""

from __future__ import annotations


class ModuleDocFragment:
    """Ansible reads DOCUMENTATION of this class."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - The server's address, like V(http://192.0.2.11:30080/services/mlflow), which is the hub's door.
    type: str
  namespace:
    description:
      - In place of O(url), the namespace of the server in a cluster. It is reached through the cluster's API.
    type: str
  token:
    description: A token of the hub, or of a program that the server knows (C(mlflow_programs)).
    type: str
    required: true
  model:
    description: The name of the registered model.
    type: str
    required: true
"""
