#!/usr/bin/python
"""Bring a Helm release back to a state that can be upgraded, after Helm was killed or failed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_recover
short_description: Mend a Helm release whose last operation was killed or failed
description:
  - Helm refuses every operation on a release whose last one is still open, as it is when Helm was killed. One
    that
    failed leaves objects half changed, which an upgrade with the values of before does not notice.
  - Rolls such a release back to its last good revision. Where there is none, forgets the record, so that the
    next
    installation takes over the objects that are there.
  - Does nothing to a release that is well, or that does not exist.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  name:
    description: The release.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  binary:
    description: The Helm executable, version 3.
    type: path
    default: helm
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: RV(actions) says it in a sentence.
    support: none
  idempotent:
    description: Does something to a broken release only.
    support: full
"""

EXAMPLES = r"""
- name: Mend the release where its last operation was killed
  helm_recover:
    name: jupyterhub
    namespace: jupyterhub
"""

RETURN = r"""
actions:
  description: What was done, or would be, as sentences.
  type: list
  elements: str
  returned: always
  sample: [Roll back to revision 2 - revision 3 is pending-upgrade]
"""

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "binary": {"type": "path", "default": "helm"},
    **API_ARGUMENTS,
}
BROKEN = {"failed", "pending-install", "pending-upgrade", "pending-rollback"}
GOOD = {"deployed", "superseded"}


@dataclass(frozen=True)
class Revision:
    """One record that Helm keeps of a release."""

    number: int
    status: str
    secret: str


@dataclass(frozen=True)
class Step:
    """Roll back to a revision, or forget a record."""

    sentence: str
    rollback_to: int = 0
    forget: str = ""


def plan(revisions: list[Revision]) -> list[Step]:
    """What brings the release back."""
    ordered = sorted(revisions, key=lambda revision: revision.number)
    if not ordered or ordered[-1].status not in BROKEN:
        return []
    good = [revision.number for revision in ordered if revision.status in GOOD]
    why = f"revision {ordered[-1].number} is {ordered[-1].status}"
    if good:
        return [Step(f"Roll back to revision {good[-1]} - {why}", rollback_to=good[-1])]
    return [Step(f"Forget revision {each.number} - {why}", forget=each.secret) for each in ordered]


def read_revisions(api: KubernetesApi, namespace: str, name: str) -> list[Revision]:
    """Helm's records, which are Secrets."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    secrets = api.get(path, labelSelector=f"owner=helm,name={name}")["items"]
    return [
        Revision(int(labels["version"]), labels["status"], secret["metadata"]["name"])
        for secret in secrets
        for labels in [secret["metadata"]["labels"]]
    ]


def apply(module: AnsibleModule, api: KubernetesApi, steps: list[Step]) -> None:
    """Do the steps."""
    params = module.params
    for step in steps:
        if step.forget:
            api.request("DELETE", f"/api/v1/namespaces/{params['namespace']}/secrets/{step.forget}")
            continue
        command = [params["binary"], "rollback", params["name"], str(step.rollback_to)]
        command += ["--namespace", params["namespace"]]
        command += ["--kubeconfig", params["kubeconfig"]] if params["kubeconfig"] else []
        command += ["--kube-context", params["context"]] if params["context"] else []
        code, output, error = module.run_command(command)
        if code:
            module.fail_json(msg=f"{step.sentence}: {(error or output).strip()}")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        api = KubernetesApi(module.params["kubeconfig"], module.params["context"])
        steps = plan(read_revisions(api, module.params["namespace"], module.params["name"]))
        if not module.check_mode:
            apply(module, api, steps)
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(steps), actions=[step.sentence for step in steps])


if __name__ == "__main__":
    main()
