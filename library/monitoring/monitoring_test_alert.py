#!/usr/bin/python
"""Send one alert through to all receivers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_test_alert
short_description: One alert, sent through to the receivers
description:
  - Gives Alertmanager in the cluster an alert that says it is a test, and waits until each receiver that
    wants its severity has taken it. It fails if one has not.
  - The alert ends by itself, and its end is told, too.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  namespace:
    description: The namespace of Alertmanager.
    type: str
    required: true
  severity:
    description: The severity of the alert.
    type: str
    choices: [critical, warning, info]
    default: warning
  wait_seconds:
    description: How long the receivers have. The alert ends 30 s later.
    type: int
    default: 60
attributes:
  check_mode:
    description: Sends nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Try whether people are told
  monitoring_test_alert:
    namespace: monitoring
    severity: critical
"""

RETURN = r"""
receivers:
  description: What became of each receiver, by its name.
  type: dict
  returned: success
  sample: {receiver-1: taken}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.json_api import ApiError
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.monitoring.alertmanager import Alertmanager, send_through

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
NAME = "TestAlert"


def main() -> None:
    """Send the alert, and tell who has taken it."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, receivers={})
    labels = {"alertname": NAME, "severity": params["severity"]}
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        with Alertmanager.opened(api, params["namespace"]) as alertmanager:
            receivers = send_through(alertmanager, labels, params["wait_seconds"])
    except ApiError as error:
        module.fail_json(msg=f"Alertmanager in the namespace {params['namespace']} cannot be asked: {error}")
    if not receivers:
        module.fail_json(
            msg=f"Nobody is told of alerts with the severity {params['severity']}: set monitoring_receivers "
            "(docs/how-to/monitoring.md), and run playbooks/monitoring.yml"
        )
    missing = {name: what for name, what in receivers.items() if what != "taken"}
    if missing:
        told = "; ".join(f"{name}: {what}" for name, what in missing.items())
        module.fail_json(
            msg=f"Receivers did not take the alert. They are numbered as in monitoring_receivers: {told}. "
            f"Why, tells kubectl --namespace {params['namespace']} logs alertmanager-monitoring-0"
        )
    module.exit_json(changed=False, receivers=receivers)


if __name__ == "__main__":
    main()
