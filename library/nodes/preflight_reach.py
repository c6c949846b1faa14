#!/usr/bin/python
"""Try to connect to the ports at which other machines listen, or stop listening."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_reach
short_description: Try whether a machine reaches the others' ports
description:
  - The module M(preflight_machine) lets each machine listen for a moment. This module tries from a machine to
    reach the ports of the others, and from an address of the pods' network the ports of the machine itself.
    In the end it stops the listening process.
  - Changes nothing, and does not fail on what it finds.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  state:
    description: What to do. V(ended) ends the listening process.
    type: str
    choices: [tried, ended]
    default: tried
  targets:
    description: Where to connect to, each with C(address), C(number) and C(protocol). Other keys are returned
      as they are.
    type: list
    elements: dict
    default: []
  pod_targets:
    description: The same for this machine's own ports, which are tried from an address of O(pod_network).
    type: list
    elements: dict
    default: []
  pod_network:
    description: The network of the pods (C(cluster-cidr)). Only one of IPv4 can be tried.
    type: str
    default: 10.42.0.0/16
  seconds:
    description: How long an answer may take.
    type: float
    default: 5.0
"""

EXAMPLES = r"""
- name: Try the other machines
  preflight_reach:
    targets:
      - {host: server-1, address: 10.20.0.11, number: 6443, protocol: tcp}
  register: tried
"""

RETURN = r"""
closed:
  description: The targets that did not answer, each with C(how).
  type: list
  elements: dict
  returned: always
  sample: [{host: server-1, address: 10.20.0.11, number: 6443, protocol: tcp, how: timed out}]
closed_to_pods:
  description: The same for O(pod_targets); none if it cannot be tried, for example because k3s runs already.
  type: list
  elements: dict
  returned: always
key:
  description: The key of the process that listened until now; empty where none did.
  type: str
  returned: always
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.run import runner
from ansible.module_utils.metalworks.node import reach

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["tried", "ended"], "default": "tried"},
    "targets": {"type": "list", "elements": "dict", "default": []},
    "pod_targets": {"type": "list", "elements": "dict", "default": []},
    "pod_network": {"type": "str", "default": "10.42.0.0/16"},
    "seconds": {"type": "float", "default": 5.0},
}


def main() -> None:
    """Try the targets, or stop listening."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    if params["state"] == "ended":
        module.exit_json(changed=False, closed=[], closed_to_pods=[], key=reach.end())
    closed = reach.reach(params["targets"], params["seconds"])
    pods: list[dict[str, Any]] = []
    if params["pod_targets"] and ipaddress.ip_network(params["pod_network"]).version == 4:
        network, targets = params["pod_network"], params["pod_targets"]
        pods = reach.reach_as_a_pod(runner(module), network, targets, params["seconds"]) or []
    module.exit_json(changed=False, closed=closed, closed_to_pods=pods, key="")


if __name__ == "__main__":
    main()
