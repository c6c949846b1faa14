#!/usr/bin/python
"""Ask every replica of a model server which version it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_replicas
short_description: The version of a model that every replica serves
description:
  - Asks each pod of a model server by itself, through the cluster's API, which version of its model answers.
  - Waits until all replicas are there and serve the same version, or the one that is named.
  - Then puts a question to each of them, if one is given.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, reads_only]
options:
  namespace:
    description: The namespace of the model server.
    type: str
    required: true
  model:
    description: The name of the model and of its Deployment.
    type: str
    required: true
  version:
    description: The version that all have to serve. Empty means any, if all serve the same one.
    type: str
    default: ""
  question:
    description: A path that every replica has to answer, as in V(/recommend?user=nobody). Empty means none.
    type: str
    default: ""
  candidate:
    description:
      - The version that all have to have loaded beside O(version), as the candidate; V(none) if there must be
        no candidate. Empty means that it does not matter.
    type: str
    default: ""
  timeout:
    description: How many seconds it may take.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Wait until version 3 is served
  model_replicas:
    namespace: model
    model: recommender
    version: "3"
"""

RETURN = r"""
version:
  description: The version that all replicas serve.
  type: str
  returned: success
replicas:
  description: The version that each pod serves, by the pod's name.
  type: dict
  returned: success
waited_seconds:
  description: How long it took.
  type: float
  returned: success
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import PodApi, forwarded_to, is_ready
from ansible.module_utils.metalworks.kubernetes.rollout import pods_of, workload_path

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
PORT = 8080
NOT_READY = "none"


def missing(replicas: Mapping[str, str], wanted: int, version: str) -> str:
    """Return what is not as it has to be, as a sentence; empty if all is well."""
    ready = {pod: served for pod, served in replicas.items() if served != NOT_READY}
    if len(ready) < wanted or len(ready) < len(replicas) or not ready:
        return f"{len(ready)} of {wanted} replicas are ready"
    others = {pod: served for pod, served in ready.items() if version and served != version}
    if others:
        return (
            f"version {version} is not served by {', '.join(f'{k} ({v})' for k, v in sorted(others.items()))}"
        )
    if len(set(ready.values())) > 1:
        return f"different versions are served: {', '.join(f'{k} ({v})' for k, v in sorted(ready.items()))}"
    return ""


def with_candidate(version: str, candidate: str) -> str:
    """Return the versions of a champion and of a candidate as they are compared and printed."""
    return f"{version}, candidate {candidate}"


def served(
    api: KubernetesApi, namespace: str, pod: Mapping[str, Any], model: str, candidate: bool = False
) -> str:
    """Return the version that a pod serves; with the candidate's, and why it has none, if that is asked."""
    if not is_ready(dict(pod)):
        return NOT_READY
    try:
        with forwarded_to(api, namespace, pod["metadata"]["name"], PORT) as address:
            server, path = PodApi(address), f"/v2/models/{model}"
            found = server.request("GET", f"{path}/ready")
            version = str(found["version"])
            if not candidate:
                return version
            others = [each for each in server.request("GET", path)["versions"] if each != version]
            problem = f": {found['problem']}" if "problem" in found else ""
            return with_candidate(version, others[0] if others else f"none{problem}")
    except ApiError:
        return NOT_READY  # it may have ended just now; the next look tells


def unanswered(api: KubernetesApi, namespace: str, pods: Iterable[str], question: str) -> str:
    """Put a question to every pod; return which one does not answer it, and why, or an empty text."""
    for pod in pods:
        try:
            with forwarded_to(api, namespace, pod, PORT) as address:
                PodApi(address).request("GET", question)
        except ApiError as error:
            return f"{pod} does not answer {question}: {error}"
    return ""


def look(
    api: KubernetesApi, namespace: str, model: str, candidate: bool = False
) -> tuple[dict[str, str], int]:
    """Return the version that each pod serves, and how many pods there have to be."""
    deployment = api.get(workload_path(namespace, f"deployment/{model}"))
    pods = [
        pod for pod in pods_of(api, namespace, deployment) if not pod["metadata"].get("deletionTimestamp")
    ]
    found = {str(pod["metadata"]["name"]): served(api, namespace, pod, model, candidate) for pod in pods}
    return found, int(deployment["spec"].get("replicas", 1))


def main() -> None:
    """Wait until all serve the version, or fail with what is missing."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_by={"candidate": ["version"]}
    )
    params, start = module.params, time.monotonic()
    version, candidate = params["version"], params["candidate"]
    expected = with_candidate(version, candidate) if candidate else version
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        while True:
            replicas, wanted = look(api, params["namespace"], params["model"], bool(candidate))
            problem = missing(replicas, wanted, expected)
            waited = time.monotonic() - start
            if not problem:
                break
            if waited > params["timeout"]:
                module.fail_json(msg=f"{params['model']}, after {waited:.0f} s: {problem}")
            time.sleep(0.5)
        question = params["question"]
        if question and (problem := unanswered(api, params["namespace"], sorted(replicas), question)):
            module.fail_json(msg=problem)
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        version=version or next(iter(replicas.values())),
        replicas=replicas,
        waited_seconds=round(waited, 1),
    )


if __name__ == "__main__":
    main()
