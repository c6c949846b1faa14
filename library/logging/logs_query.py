#!/usr/bin/python
"""Search the logs of the platform."""

from __future__ import annotations

DOCUMENTATION = r"""
module: logs_query
short_description: Search the logs of pods and nodes
description:
  - Asks the store of logs (VictoriaLogs) through the cluster's API, so that nothing but the kubeconfig is
    needed, neither an address of the store nor a login.
  - With O(prints) the lines are printed, their control characters as escapes. With C(follow=yes) in the
    search those that come later are printed as well, until Ctrl+C.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  namespace:
    description: The namespace of the store.
    type: str
    required: true
  search:
    description:
      - What to search for, as words like C(user=ada level=error since=2h). All hold together. Known are
        C(namespace), C(pod) (a name, or how it begins), C(container), C(node), C(unit) (of systemd), C(user)
        (of the hub), C(level) (this one and graver ones), C(model_version), C(request_id), C(words) (that
        stand in the line), C(since) (like C(30m); C(1h) by default), C(limit) (of lines; C(200) by default)
        and C(follow).
      - C(query) is a query in LogsQL, instead of all conditions.
    type: str
    default: ""
  prints:
    description: Whether the lines are printed to the terminal.
    type: bool
    default: false
  wait_seconds:
    description: How long to wait for a first line. Without one the task fails then; with V(0) it never does.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Find out why ada's server does not start
  logs_query:
    namespace: logging
    search: user=ada level=warning since=30m
  register: found

- name: Wait until the trainer has said that it is done
  logs_query:
    namespace: logging
    search: pod=trainer words='training is done' since=5m
    wait_seconds: 300
"""

RETURN = r"""
query:
  description: The query in LogsQL.
  type: str
  returned: always
  sample: '{kubernetes.pod_namespace="mlflow"} "out of memory"'
lines:
  description: The newest lines, the newest last, each with C(time), C(source), C(level) and C(text).
  type: list
  elements: dict
  returned: success
"""

import time
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.logging.search import Search, logsql, parse
from ansible.module_utils.metalworks.logging.store import ApiError, Line, LogStore

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}


class NothingFound(Exception):
    """No line was found in time."""


def find(api: KubernetesApi, namespace: str, search: Search, wait_seconds: int) -> list[Line]:
    """Return what is found. NothingFound when none came in time; ApiError says what the store says."""
    end = time.monotonic() + wait_seconds
    with LogStore.opened(api, namespace) as store:
        while True:
            lines: list[Line] = store.lines(search, search.seconds)
            if lines or not wait_seconds:
                return lines
            if time.monotonic() > end:
                raise NothingFound(
                    f"no line was found for {logsql(search)} in {wait_seconds} s: do the collectors run, and "
                    f"reach the store? kubectl --namespace {namespace} logs daemonset/logs-collector tells"
                )
            time.sleep(1)


def main() -> None:
    """Search, and return the lines. What follows is the action plugin's work."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        search = parse(params["search"])
    except ValueError as error:
        module.fail_json(msg=str(error), query="")
    query = logsql(search)
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        lines = find(api, params["namespace"], search, params["wait_seconds"])
    except (ApiError, NothingFound) as error:
        module.fail_json(msg=str(error), query=query)
    module.exit_json(changed=False, query=query, lines=[asdict(line) for line in lines])


if __name__ == "__main__":
    main()
