#!/usr/bin/python
"""The first half of helm_release: mend a release that is broken, and tell whether it is as wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
short_description: Install or upgrade a Helm release and wait until it is rolled out
description:
  - A release that is deployed with this chart and these values, and whose workloads are rolled out, is left
    alone. The records that Helm keeps in the cluster tell that, and Helm is not started.
  - Otherwise M(kubernetes.core.helm) applies the chart, and M(k8s_rollout) waits for the workloads.
  - Before that, a release whose last operation was killed or has failed is mended. Helm refuses to upgrade a
    release whose last operation is recorded as still open, which is what a killed Helm leaves behind. After a
    failed operation the objects may be half changed, and an upgrade with the same values does not notice
    that.
  - An installation, upgrade or rollback that was killed or that failed is rolled back to the last good
    revision. Where there is no good revision, the records are forgotten; the next installation then adopts
    the objects that exist already.
  - An uninstallation that was killed is undone, by a rollback to the revision that it was taking away. Its
    record describes every object, so that nothing is lost or left behind without an owner.
  - A state that this module does not know leads to a warning and to no step; Helm then decides.
  - O(revision) names a revision to go back to although the release is well. Its rollout may have failed,
    which Helm does not know. Then nothing else is done.
  - The values may hold secrets. They are not in the result, and Helm gets them in a file that only this user
    can read.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  name:
    description: The release.
    type: str
    required: true
  namespace:
    description: Its namespace, which is made when it is missing.
    type: str
    required: true
  binary:
    description: The Helm executable.
    type: path
    default: helm
  chart:
    description: A folder, a .tgz file, or a name in O(repository). It is needed unless O(revision) is given.
    type: str
    default: ""
  version:
    description: The version to take from the repository.
    type: str
    default: ""
  repository:
    description: The address of the chart repository.
    type: str
    default: ""
  values:
    description: The values of the release.
    type: dict
    default: {}
  secrets:
    description: The secrets in the values, by a name that stands in their place in messages.
    type: dict
    no_log: true
    default: {}
  workloads:
    description: The workloads to wait for, as in M(k8s_rollout).
    type: list
    elements: str
    default: []
  timeout:
    description: How many seconds they may take.
    type: int
    default: 300
  revision:
    description: The revision that was good. With a later one the release is rolled back to it, unless Helm
      has forgotten it, which is an error. 0 means none.
    type: int
    default: 0
  plugin:
    description: Whether the action plugin runs, which installs what is left to do. Filled in by it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: RV(actions) says in sentences what was mended.
    support: none
  idempotent:
    description: Changes only a release that is broken, or that another chart or other values have made.
    support: full
"""

EXAMPLES = r"""
- name: Install the release
  helm_release:
    name: mlflow
    namespace: mlflow
    chart: files/mlflow/chart
    values: {image: registry.example/mlflow:1}
    workloads: [deployment/mlflow]

- name: Go back to a revision
  helm_release:
    name: mlflow
    namespace: mlflow
    revision: 3
"""

RETURN = r"""
revision:
  description: The newest revision that was deployed before this module did anything; 0 if there was none.
  type: int
  returned: if the cluster answers
  sample: 3
actions:
  description: What was mended, or would be, as sentences.
  type: list
  elements: str
  returned: if the cluster answers
  sample: [Roll back to revision 2 - revision 3 is pending-upgrade]
current:
  description: Whether the release was as wanted, so that nothing was left to do.
  type: bool
  returned: if the cluster answers
"""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.chart import read_metadata
from ansible.module_utils.metalworks.kubernetes.rollout import unfinished

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
# The states of a release, as Helm defines them: pkg/release/status.go of Helm 3, which Helm 4 took over
# unchanged as pkg/release/common/status.go. Helm's upgrade refuses the pending ones, and needs a `deployed`,
# `failed` or `superseded` record for all others (prepareUpgrade in pkg/action/upgrade.go).
GOOD = {"deployed", "superseded"}
# `helm upgrade --install` installs anew where a release was uninstalled and its history kept.
GONE = {"uninstalled"}
BROKEN = {"failed", "pending-install", "pending-upgrade", "pending-rollback", "unknown"}
HALF_REMOVED = {"uninstalling"}
KNOWN = GOOD | GONE | BROKEN | HALF_REMOVED


@dataclass(frozen=True)
class Revision:
    """One record that Helm keeps of a release."""

    number: int
    status: str
    secret: str
    content: str = field(default="", repr=False)


@dataclass(frozen=True)
class Step:
    """Roll back to a revision, or forget a record."""

    sentence: str
    rollback_to: int = 0
    forget: str = ""


def plan(revisions: list[Revision], good_one: int = 0) -> list[Step]:
    """Return the steps after which Helm upgrades the release; none where it does so already.

    `good_one` is a revision that the release has to go back to, unless it is the newest one; ValueError if
    the release does not have it.
    """
    ordered = sorted(revisions, key=lambda revision: revision.number)
    if good_one and good_one not in [each.number for each in ordered]:
        numbers = ", ".join(str(each.number) for each in ordered) or "none"
        raise ValueError(f"the release has no revision {good_one} to go back to; its revisions: {numbers}")
    if not ordered:
        return []
    last = ordered[-1]
    why = f"revision {last.number} is {last.status}"
    if good_one and last.number > good_one:
        return [Step(f"Roll back to revision {good_one} - {why}, and was not good", rollback_to=good_one)]
    if last.status in HALF_REMOVED:
        return [Step(f"Roll back to revision {last.number} - {why}", rollback_to=last.number)]
    if last.status not in BROKEN:
        return []
    # What was uninstalled to the end is not brought back, so only revisions after that are good ones.
    gone = max((revision.number for revision in ordered if revision.status in GONE), default=0)
    good = [each.number for each in ordered if each.status in GOOD and each.number > gone]
    if good:
        return [Step(f"Roll back to revision {good[-1]} - {why}", rollback_to=good[-1])]
    return [Step(f"Forget revision {each.number} - {why}", forget=each.secret) for each in ordered]


def deployed(revisions: list[Revision]) -> int:
    """Return the number of the newest revision that is deployed; 0 if there is none."""
    return max((each.number for each in revisions if each.status == "deployed"), default=0)


def newest(revisions: list[Revision]) -> Revision | None:
    """Return the last revision, whatever became of it; None if there is none."""
    return max(revisions, key=lambda revision: revision.number, default=None)


def doubts(revisions: list[Revision]) -> list[str]:
    """Return a warning where the last record has a state that Helm did not have when this was written."""
    last = newest(revisions)
    if last is None or last.status in KNOWN:
        return []
    return [
        f"revision {last.number} is {last.status!r}, a state that is not known here, so nothing was mended. "
        "If Helm refuses the upgrade: `helm history` shows the revisions, and `helm rollback` returns to one."
    ]


def read_revisions(api: KubernetesApi, namespace: str, name: str) -> list[Revision]:
    """Return Helm's records of a release, which are Secrets. One without a number is none that Helm wrote."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    secrets = api.get(path, labelSelector=f"owner=helm,name={name}")["items"]
    return [
        Revision(
            int(labels["version"]),
            str(labels.get("status")),
            secret["metadata"]["name"],
            (secret.get("data") or {}).get("release") or "",
        )
        for secret in secrets
        for labels in [secret["metadata"].get("labels") or {}]
        if str(labels.get("version")).isdigit()
    ]


def is_current(revisions: list[Revision], chart: str, values: Mapping[str, Any]) -> bool:
    """Tell whether the newest revision is deployed, and was made of this chart and these values.

    The same is compared as in kubernetes.core.helm: the chart's versions, and the values. A chart in a
    repository, and a record that cannot be read, are left to Helm.
    """
    last = newest(revisions)
    wanted = read_metadata(chart) if chart else None
    if last is None or last.status != "deployed" or wanted is None:
        return False
    try:
        record = read_record(last.content)
        made_of, given = record["chart"]["metadata"], record.get("config") or {}
    except (OSError, EOFError, ValueError, LookupError, zlib.error):
        return False
    versions = ("name", "version", "appVersion")
    return given == values and all(
        str(made_of.get(key) or "") == str(wanted.get(key) or "") for key in versions
    )


def read_record(content: str) -> dict[str, Any]:
    """Return a record from its Secret, in which it is encoded twice (pkg/storage/driver/util.go of Helm)."""
    record: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(content))))
    return record


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
    """Read the records, plan, and mend. Then tell whether anything is left to do."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    namespace, workloads = params["namespace"], params["workloads"]
    if not params["plugin"]:
        module.fail_json(
            msg="helm_release works through its action plugin: set action_plugins in ansible.cfg"
        )
    if not (params["chart"] or params["revision"]):
        module.fail_json(msg="helm_release needs a chart, or a revision to go back to: write one of them")
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        revisions = read_revisions(api, namespace, params["name"])
        steps = plan(revisions, params["revision"])
        for warning in doubts(revisions):
            module.warn(warning)
        current = (
            not steps
            and is_current(revisions, params["chart"], params["values"])
            and not unfinished(api, namespace, workloads)
        )
        if not module.check_mode:
            apply(module, api, steps)
    except (ApiError, ValueError) as error:
        module.fail_json(msg=str(error))
    actions = [step.sentence for step in steps]
    module.exit_json(changed=bool(steps), revision=deployed(revisions), actions=actions, current=current)


if __name__ == "__main__":
    main()
