#!/usr/bin/python
"""Run a CronJob now, and wait until its Job has ended."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_cron_job_run
short_description: Run a CronJob now, and say why its Job failed
description:
  - Makes a Job from the template of a CronJob, as C(kubectl create job --from) does, and waits until it has
    ended. A Job that runs already is waited for in place of a second one.
  - When the Job fails, the message shows what its pods wait for, their events and their last log lines.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  namespace:
    description: The namespace of the CronJob.
    type: str
    required: true
  name:
    description: The CronJob.
    type: str
    required: true
  only_first:
    description: Whether nothing is to be run if one of its Jobs has succeeded already.
    type: bool
    default: false
  timeout:
    description: How many seconds the Job may take.
    type: int
    default: 900
attributes:
  check_mode:
    description: Says whether a Job would be made. A CronJob that is not there yet would be run, too.
    support: full
  diff_mode:
    description: A run is no state that could be compared.
    support: none
  idempotent:
    description: With O(only_first) nothing is run after the first success.
    support: partial
"""

EXAMPLES = r"""
- name: Retrain now
  k8s_cron_job_run:
    namespace: model
    name: recommender-train
"""

RETURN = r"""
job:
  description: The Job that was waited for; empty if none was needed, and in check mode.
  type: str
  returned: success
log:
  description: The last lines of its pod's log.
  type: list
  elements: str
  returned: success
waited_seconds:
  description: How long it took.
  type: float
  returned: success
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi, Object
from ansible.module_utils.metalworks.kubernetes.rollout import describe_pods

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
LINES = 60


@dataclass(frozen=True)
class Plan:
    """The Job that runs already, or whether one is to be made."""

    running: str = ""
    make: bool = False


def outcome(job: Object) -> str:
    """Return how a Job has ended, Complete or Failed; empty while it runs."""
    conditions = (job.get("status") or {}).get("conditions") or []
    ended = [each["type"] for each in conditions if each["status"] == "True"]
    return next((each for each in ("Complete", "Failed") if each in ended), "")


def plan(jobs: Sequence[Object], only_first: bool) -> Plan:
    """Return what to do, from the Jobs that the CronJob has."""
    if only_first and any(outcome(job) == "Complete" for job in jobs):
        return Plan()
    running = [str(job["metadata"]["name"]) for job in jobs if not outcome(job)]
    return Plan(running[-1]) if running else Plan(make=True)


def jobs_of(api: KubernetesApi, namespace: str, cron_job: Object) -> list[Object]:
    """Return the Jobs that belong to a CronJob, the oldest first."""
    found = api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    uid = cron_job["metadata"]["uid"]
    own = [
        job
        for job in found
        if any(owner["uid"] == uid for owner in job["metadata"].get("ownerReferences") or [])
    ]
    return sorted(own, key=lambda job: str(job["metadata"].get("creationTimestamp")))


def job_from(cron_job: Object) -> Object:
    """Return a Job of the CronJob's template, whose history the CronJob keeps."""
    template, name = cron_job["spec"]["jobTemplate"], cron_job["metadata"]["name"]
    metadata = template.get("metadata") or {}
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": cron_job["metadata"]["uid"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{name}-now-",
            "labels": metadata.get("labels") or {},
            # The mark that kubectl leaves.
            "annotations": {
                **(metadata.get("annotations") or {}),
                "cronjob.kubernetes.io/instantiate": "manual",
            },
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": template["spec"],
    }


def wait(api: KubernetesApi, namespace: str, name: str, seconds: float) -> list[str]:
    """Wait until a Job has succeeded, and return its log. ValueError says why it has not."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    end = time.monotonic() + seconds
    while (ended := outcome(api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"))) != "Complete":
        if ended or time.monotonic() > end:
            found = api.get(pods, labelSelector=f"job-name={name}")["items"]
            why = "\n".join(describe_pods(api, namespace, found, {name}))
            raise ValueError(
                f"The Job {name} {'failed' if ended else f'has not ended after {seconds:.0f} s'}.\n{why}"
            )
        time.sleep(1)
    for pod in api.get(pods, labelSelector=f"job-name={name}")["items"]:
        if pod["status"].get("phase") == "Succeeded":
            text = api.get(f"{pods}/{pod['metadata']['name']}/log", tailLines=LINES)
            return str(text or "").splitlines()
    return []


def main() -> None:
    """Run the CronJob if need be, or fail with the reason."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, start = module.params, time.monotonic()
    namespace, name = params["namespace"], params["name"]
    job, log = "", []
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        path = f"/apis/batch/v1/namespaces/{namespace}"
        cron_job = api.find(f"{path}/cronjobs/{name}")
        if cron_job is None:
            if module.check_mode:
                module.exit_json(changed=True, job="", log=[], waited_seconds=0.0)
            raise ValueError(f"there is no CronJob {name} in the namespace {namespace}")
        planned = plan(jobs_of(api, namespace, cron_job), params["only_first"])
        if not module.check_mode and planned != Plan():
            made = (
                planned.running or api.request("POST", f"{path}/jobs", job_from(cron_job))["metadata"]["name"]
            )
            job, log = str(made), wait(api, namespace, made, params["timeout"])
    except (ApiError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=planned.make, job=job, log=log, waited_seconds=round(time.monotonic() - start, 1)
    )


if __name__ == "__main__":
    main()
