#!/usr/bin/python
"""Find out whether the hub in a namespace belongs to this inventory, before it is upgraded."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_owner
short_description: Find whether a namespace holds a hub that another inventory made
description:
  - A hub is this inventory's when its Secret holds the inventory's API token.
  - Another hub would get other secrets, other images and another list of users.
  - Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  namespace:
    description: The namespace. It need not exist.
    type: str
    required: true
  token:
    description: The API token that this inventory gives to its hub.
    type: str
    no_log: true
    required: true
"""

EXAMPLES = r"""
- name: Ask whose hub is there
  jupyterhub_owner:
    namespace: jupyterhub
    token: "{{ jupyterhub_secrets.api_token }}"
  register: owner
"""

RETURN = r"""
problems:
  description: Which hub of somebody else is in the namespace, and what to do; empty when there is none.
  type: list
  elements: str
  returned: always
  sample: ["the namespace jupyterhub holds a hub (Deployment hub) that this inventory did not make: ..."]
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
# Names of the chart: the label of a hub's Secret, and the key with the API token of roles/jupyterhub.
SELECTOR = "component=hub"
TOKEN = "hub.services.metalworks.apiToken"  # the name of a key, not a secret


def problems(
    namespace: str, hubs: Sequence[Mapping[str, Any]], secrets: Sequence[Mapping[str, Any]], token: str
) -> list[str]:
    """Return a sentence for each hub that belongs to somebody else."""
    if not hubs or any(holds(secret, token) for secret in secrets):
        return []
    names = ", ".join(sorted(str(hub["metadata"]["name"]) for hub in hubs))
    return [
        f"the namespace {namespace} holds a hub (Deployment {names}) that this inventory did not make: its "
        "secrets would be replaced, and its users taken out who are not in jupyterhub_users. Name a free "
        "namespace in jupyterhub_namespace; if the hub is yours, bring back the folder secrets of the "
        "metalworks_state_dir that it was made with; or take it over as it is with jupyterhub_adopt: true"
    ]


def holds(secret: Mapping[str, Any], token: str) -> bool:
    """Return whether a Secret holds this token."""
    found = base64.b64decode((secret.get("data") or {}).get(TOKEN) or "")
    return hmac.compare_digest(found, token.encode())


def judge(params: Mapping[str, Any]) -> list[str]:
    """Ask the cluster, and return what is wrong. No token is returned or shown."""
    api, namespace = KubernetesApi(params["kubeconfig"], params["context"]), params["namespace"]
    hubs = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments", labelSelector=SELECTOR)["items"]
    secrets = api.get(f"/api/v1/namespaces/{namespace}/secrets", labelSelector=SELECTOR)["items"]
    return problems(namespace, hubs, secrets, params["token"])


def main() -> None:
    """Compare the token of the hub that runs in the namespace with the one that is given."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(changed=False, problems=judge(module.params))
    except ApiError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
