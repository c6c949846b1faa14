#!/usr/bin/python
"""Judge whether the platform can run on a cluster, before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_cluster
short_description: Find what keeps the platform from running on a cluster that is already there
description:
  - Asks whether the API can be reached and is new enough; whether there are nodes that are Ready, take the
    hub's pods and have the architecture of its images; whether there are a storage class and a free node
    port; and whether this user may create what the hub is made of.
  - Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  namespace:
    description: Where the hub will be. It need not exist.
    type: str
    required: true
  minimum:
    description: The oldest Kubernetes that will do, like V(1.28).
    type: str
    required: true
  node_port:
    description: The port of each node that the hub will have. V(0) means none.
    type: int
    default: 0
  storage_class:
    description: The storage class of homes and database. Empty means the cluster's default.
    type: str
    default: ""
  own_images:
    description: Whether images are built on this computer, for its own architecture.
    type: bool
    default: true
  usual_domain:
    description: Whether what is installed is looked up below C(svc.cluster.local), the usual domain.
    type: bool
    default: false
  tolerations:
    description:
      - Which pods have to find a node, by a name for messages, each with the taints that they tolerate in the
        form of the Kubernetes API.
    type: dict
    default: {the hub: []}
"""

EXAMPLES = r"""
- name: Judge the cluster
  preflight_cluster:
    context: kind-kind
    namespace: jupyterhub
    minimum: "1.28"
    node_port: 30080
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each; empty when the platform can run.
  type: list
  elements: str
  returned: always
  sample: ["node port 30080 is taken by the service default/web: write another into jupyterhub_node_port"]
"""

import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.architectures import architecture
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.cluster import Wanted, cause, problems, read

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}


def judge(params: dict[str, Any]) -> list[str]:
    """Return all problems; a cluster that cannot be asked is one problem."""
    wanted = Wanted(
        namespace=params["namespace"],
        minimum=params["minimum"],
        node_port=params["node_port"],
        storage_class=params["storage_class"],
        architecture=architecture(platform.machine()) if params["own_images"] else "",
        tolerations=params["tolerations"],
        usual_domain=params["usual_domain"],
    )
    try:
        found = read(KubernetesApi(params["kubeconfig"], params["context"]), wanted)
    except ApiError as error:
        return [cause(error, params["context"] or "now selected")]
    return list(problems(found, wanted))


def main() -> None:
    """Judge the cluster and return what is wrong."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, problems=judge(module.params))


if __name__ == "__main__":
    main()
