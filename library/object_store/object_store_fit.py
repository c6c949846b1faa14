#!/usr/bin/python
"""Judge whether a cluster can hold the object store or the store of logs, before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_store_fit
short_description: Find what keeps a store on one volume from being installed or changed
description:
  - Asks whose store is in the namespace, whether there is a storage class, whether a node has room for the
    volume, and whether a volume that is there can become what is wanted.
  - Says which size the volume's claim has to have. A claim never shrinks, and grows only where its storage
    class allows it.
  - Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  namespace:
    description: The namespace of the store. It need not exist.
    type: str
    required: true
  size:
    description: What the store may take, like V(20Gi).
    type: str
    required: true
  storage_class:
    description: The storage class of its volume. Empty means the cluster's default.
    type: str
    default: ""
  access_mode:
    description: How the volume is mounted.
    type: str
    choices: [ReadWriteOnce, ReadWriteMany]
    default: ReadWriteOnce
  reserve_percent:
    description: How much of a node's disk has to stay free.
    type: int
    default: 10
  root_secret:
    description: The secret of the root key that this inventory has. A store with another one is not its own.
    type: str
    no_log: true
    default: ""
  claim:
    description: The name of the claim of its volume.
    type: str
    default: object-store
  part:
    description: How the inputs begin that sentences name.
    type: str
    default: object_store
  what:
    description: What sentences call it.
    type: str
    default: object store
"""

EXAMPLES = r"""
- name: Judge the cluster
  object_store_fit:
    namespace: object-store
    size: 20Gi
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each.
  type: list
  elements: str
  returned: always
claim_size:
  description: The size that the volume's claim has to have.
  type: str
  returned: when the cluster could be asked
  sample: 20Gi
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.object_store.fit import Wanted, claim_size, problems, read

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
WANTED = ("size", "storage_class", "access_mode", "reserve_percent", "root_secret", "part", "what")


def main() -> None:
    """Judge the cluster and return what is wrong."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    wanted = Wanted(**{name: params[name] for name in WANTED})
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        found = read(api, params["namespace"], params["claim"])
    except ApiError as error:
        module.exit_json(changed=False, problems=[f"the cluster cannot be asked: {error}"])
    module.exit_json(
        changed=False, problems=list(problems(wanted, found)), claim_size=claim_size(wanted, found)
    )


if __name__ == "__main__":
    main()
