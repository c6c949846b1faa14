#!/usr/bin/python
"""Keep a set of Secrets as it is listed: write those that differ, remove those that are not listed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_secrets
short_description: A set of Secrets that belong together
description:
  - All Secrets of a set have one label. Those that are listed are written where they differ; those that have
    the label and are not listed are removed, in whatever namespace they are.
  - A missing namespace is made.
  - Values are shown nowhere, in no diff either.
  - Pods that have a Secret mounted see a change after a minute or so. With O(refresh), the kubelet is made to
    look at once, by an annotation of the pods.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  set_name:
    description: The value of the label C(metalworks.io/secrets), which all Secrets of the set have.
    type: str
    required: true
  secrets:
    description: All Secrets of the set.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: The namespace.
        type: str
        required: true
      name:
        description: The name.
        type: str
        required: true
      data:
        description: The keys and their values, as text.
        type: dict
        no_log: true
        required: true
  refresh:
    description: Pods that have a Secret of the set mounted, and are to see a change at once.
    type: dict
    suboptions:
      namespace:
        description: Their namespace.
        type: str
        required: true
      selector:
        description: A label selector, like V(app=web).
        type: str
        required: true
attributes:
  check_mode:
    description: Says what would be written and removed.
    support: full
  diff_mode:
    description: Shows names and keys, never values.
    support: full
  idempotent:
    description: Writes nothing that is as wanted.
    support: full
"""

EXAMPLES = r"""
- name: Give the programs their keys
  k8s_secrets:
    set_name: shop
    secrets:
      - {namespace: web, name: shop, data: {password: "{{ shop_password }}"}}
  no_log: true
"""

RETURN = r"""
written:
  description: The Secrets that were written, as namespace/name.
  type: list
  elements: str
  returned: always
removed:
  description: The Secrets that were removed, as namespace/name.
  type: list
  elements: str
  returned: always
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.secrets import make_secret, values_of

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
LABEL = "metalworks.io/secrets"
ANNOTATION = "metalworks.io/secrets-checksum"

# (namespace, name) -> the Secret's values by their keys
Secrets = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass(frozen=True)
class Plan:
    """Which Secrets are made, changed and removed, each as (namespace, name)."""

    made: Sequence[tuple[str, str]]
    changed: Sequence[tuple[str, str]]
    removed: Sequence[tuple[str, str]]

    @property
    def written(self) -> list[tuple[str, str]]:
        """Those that are made or changed."""
        return sorted([*self.made, *self.changed])


def plan(wanted: Secrets, found: Secrets) -> Plan:
    """Return what differs between the wanted Secrets and those of the set that are there."""
    return Plan(
        made=sorted(wanted.keys() - found.keys()),
        changed=sorted(
            place for place in wanted.keys() & found.keys() if dict(wanted[place]) != dict(found[place])
        ),
        removed=sorted(found.keys() - wanted.keys()),
    )


def read(api: KubernetesApi, set_name: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return the Secrets of a set in all namespaces."""
    answer = api.get("/api/v1/secrets", labelSelector=f"{LABEL}={set_name}")
    return {
        (each["metadata"]["namespace"], each["metadata"]["name"]): values_of(each) for each in answer["items"]
    }


def write(api: KubernetesApi, set_name: str, todo: Plan, wanted: Secrets) -> None:
    """Replace the Secrets that differ, and make those that are missing, with their namespaces."""
    labels = {LABEL: set_name}
    secrets = {
        place: make_secret({"name": place[1], "labels": labels}, wanted[place]) for place in todo.written
    }
    for place in todo.changed:
        api.request("PUT", path_of(place), secrets[place])
    for namespace in sorted({namespace for namespace, _ in todo.made}):
        if api.find(f"/api/v1/namespaces/{namespace}") is None:
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for place in todo.made:
        # A Secret of that name can be there without being one of the set.
        if api.find(path_of(place)) is None:
            api.request("POST", path_of(place).rpartition("/")[0], secrets[place])
        else:
            api.request("PUT", path_of(place), secrets[place])


def path_of(place: tuple[str, str]) -> str:
    """Return where the API has a Secret."""
    return "/api/v1/namespaces/{}/secrets/{}".format(*place)


def checksum(wanted: Secrets) -> str:
    """Return a checksum of all values, which a pod's annotation may show."""
    text = json.dumps([[*place, dict(wanted[place])] for place in sorted(wanted)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refresh(api: KubernetesApi, pods: Mapping[str, str], wanted: Secrets) -> None:
    """Make the kubelet look at the Secrets of some pods now: it does when a pod's annotations change.

    https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/
    """
    path = f"/api/v1/namespaces/{pods['namespace']}/pods"
    body = {"metadata": {"annotations": {ANNOTATION: checksum(wanted)}}}
    for pod in api.get(path, labelSelector=pods["selector"])["items"]:
        api.request(
            "PATCH",
            f"{path}/{pod['metadata']['name']}",
            body,
            content_type="application/merge-patch+json",
        )


def listing(secrets: Secrets) -> str:
    """Return one side of the diff: names and keys."""
    return "".join(f"{'/'.join(place)}: {', '.join(sorted(secrets[place]))}\n" for place in sorted(secrets))


def main() -> None:
    """Write and remove what differs."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    wanted = {
        (each["namespace"], each["name"]): {key: str(value) for key, value in each["data"].items()}
        for each in params["secrets"]
    }
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        found = read(api, params["set_name"])
        todo = plan(wanted, found)
        if not module.check_mode:
            write(api, params["set_name"], todo, wanted)
            for place in todo.removed:
                api.request("DELETE", path_of(place))
            if params["refresh"] and (todo.written or todo.removed):
                refresh(api, params["refresh"], wanted)
    except ApiError as error:
        module.fail_json(msg=str(error))
    after = [f"{'/'.join(place)} (other values)" for place in todo.changed]
    module.exit_json(
        changed=bool(todo.written or todo.removed),
        written=["/".join(place) for place in todo.written],
        removed=["/".join(place) for place in todo.removed],
        diff={"before": listing(found), "after": listing(wanted) + "".join(f"{line}\n" for line in after)},
    )


if __name__ == "__main__":
    main()
