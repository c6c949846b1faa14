#!/usr/bin/python
"""Wait until workloads are rolled out, and explain a rollout that fails."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_rollout
short_description: Wait until workloads are rolled out, and say why they are not
description:
  - Waits until every pod of the workloads is of the newest revision and available.
  - When that does not happen in time, the message names the likely cause, and shows what the pods and volumes
    wait for, their events and their last log lines. A fault that waiting cannot mend ends the wait at once.
  - Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  namespace:
    description: The namespace of the workloads.
    type: str
    required: true
  workloads:
    description: >-
      The workloads, like V(deployment/hub). Also C(statefulset) and C(daemonset), and C(prometheus) and
      C(alertmanager) of Prometheus' operator, which are done when the operator has reconciled them.
    type: list
    elements: str
    required: true
  timeout:
    description: How many seconds they may take.
    type: int
    default: 180
  secrets:
    description: What the message must not show, although a program may have written it to its log.
    type: list
    elements: str
    no_log: true
    default: []
attributes:
  check_mode:
    description: Reads only; a workload that is not there yet is no fault then.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Wait for the hub and its proxy
  k8s_rollout:
    namespace: jupyterhub
    workloads: [deployment/hub, deployment/proxy]
"""

RETURN = r"""
waited_seconds:
  description: How long it took.
  type: float
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.rollout import diagnose, hopeless, unfinished

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}


def main() -> None:
    """Wait for the workloads, or fail with the reason."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    namespace, workloads = module.params["namespace"], module.params["workloads"]
    start = time.monotonic()
    try:
        api = KubernetesApi(module.params["kubeconfig"], module.params["context"])
        while missing := unfinished(api, namespace, workloads):
            if module.check_mode:
                break
            waited = time.monotonic() - start
            if waited > module.params["timeout"] or hopeless(api, namespace, list(missing), waited):
                sentences = "; ".join(f"{name} {text}" for name, text in missing.items())
                why = diagnose(api, namespace, list(missing))
                module.fail_json(msg=f"Not rolled out after {waited:.0f} s: {sentences}.\n{why}")
            time.sleep(1)
    except (ApiError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, waited_seconds=round(time.monotonic() - start, 1))


if __name__ == "__main__":
    main()
