#!/usr/bin/python
"""Read the nodes and the version of a cluster, and wait for nodes that must be Ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_cluster_info
short_description: What the API says of a cluster and its nodes
description:
  - Asks any Kubernetes cluster through a context of a kubeconfig, from the operator's computer; no node is
    touched. M(k3s_cluster_info) asks a k3s server itself, also before there is a cluster.
  - Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  wait_for:
    description: Nodes that have to be Ready. Without names, all that the cluster has.
    type: dict
    suboptions:
      nodes:
        description: Their names.
        type: list
        elements: str
        default: []
      seconds:
        description: How long they may take.
        type: int
        default: 60
"""

EXAMPLES = r"""
- name: Every node is Ready
  k8s_cluster_info:
    context: metalworks-lab
    wait_for: {nodes: [metal-1, metal-2]}
  register: cluster
"""

RETURN = r"""
exists:
  description:
    - Whether the kubeconfig has the context. A missing one is a failure; in check mode it is V(false), and
      nothing else is returned.
  type: bool
  returned: success
version:
  description: The version of the API server.
  type: str
  returned: success
  sample: v1.36.5+k3s1
nodes:
  description: The nodes, by name.
  type: list
  elements: dict
  returned: success
  sample:
    - name: metal-1
      ready: true
      internal_ip: 192.0.2.11
      external_ip: ""
      architecture: amd64
      cordoned: false
      taints: []
address:
  description: Where the first node that is Ready is reached; its external address if it has one.
  type: str
  returned: success
  sample: 192.0.2.11
api_ports:
  description:
    - The ports of the API servers themselves, behind the Service C(kubernetes), as network policies see them.
    - None if this user may not read its endpoints.
  type: list
  elements: int
  returned: success
  sample: [6443]
"""

import time
from collections.abc import Sequence
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.nodes import Node
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi, NoContextError
from ansible.module_utils.metalworks.kubernetes.cluster import cause, read_api_ports, read_nodes

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}

REMEDY = (
    "Make the cluster first (ansible-playbook playbooks/cluster.yml), or name the context of a cluster that "
    "is there in metalworks_context."
)


def missing(nodes: Sequence[Node], names: Sequence[str]) -> list[str]:
    """Return the names of the nodes that have to be Ready and are not."""
    ready = {node.name for node in nodes if node.ready}
    return [name for name in (names or [node.name for node in nodes]) if name not in ready]


def main() -> None:
    """Read the nodes, wait for those that are asked for, and return them."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wait, context = module.params["wait_for"], module.params["context"] or "now selected"
    start = time.monotonic()
    try:
        api = KubernetesApi(module.params["kubeconfig"], module.params["context"])
        version, nodes = read_nodes(api)
        while wait and (late := missing(nodes, wait["nodes"])):
            if time.monotonic() - start > wait["seconds"]:
                message = f"Not Ready after {wait['seconds']} s: {', '.join(late)}."
                module.fail_json(msg=f"{message} `kubectl describe node` says why.")
            time.sleep(1)
            version, nodes = read_nodes(api)
        ports = read_api_ports(api)
    except NoContextError as error:
        if module.check_mode:
            module.exit_json(changed=False, exists=False)
        module.fail_json(msg=f"{str(error).rstrip('.')}. {REMEDY}")
    except ApiError as error:
        module.fail_json(msg=cause(error, context))
    address = next((node.address for node in nodes if node.ready), "")
    found = [asdict(node) for node in nodes]
    module.exit_json(
        changed=False, exists=True, version=version, nodes=found, address=address, api_ports=ports
    )


if __name__ == "__main__":
    main()
