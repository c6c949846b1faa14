"""Whether a workload is rolled out, and what its pods wait for."""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi

Object = dict[str, Any]

KINDS = {"deployment": "deployments", "statefulset": "statefulsets", "daemonset": "daemonsets"}
# Waiting does not mend these: the image is not on the node and may not be pulled, or its name is no name.
HOPELESS = {"ErrImageNeverPull", "InvalidImageName"}
# What is said of a pull -> what it means and what to do. Waiting mends none of these, but for a first try:
# a node may not know yet the Secret that a pod logs in with. The kubelet tries again after 10 to 20 s.
PULLS: tuple[tuple[str, str], ...] = (
    (
        r"401 Unauthorized|403 Forbidden|authorization failed|insufficient_scope|no basic auth credentials",
        "the registry refuses the login, or got none: see k3s_registries and metalworks_registry",
    ),
    (
        r"x509: certificate signed by unknown authority",
        "the node does not trust the registry's certificate: give the CA that signed it in k3s_registries, "
        "as tls.ca of this registry",
    ),
    (
        r"x509: .*(is valid for|not valid for|IP SANs)",
        "the registry's certificate is for another name: write the name that is in it",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        "the registry speaks no TLS: write its endpoint with http:// in k3s_registries",
    ),
)
PULL_SECONDS = 40
LOG_LINES = 15
EVENTS = 8


def workload_path(namespace: str, name: str) -> str:
    """The API's path of a workload like deployment/hub."""
    kind, _, rest = name.partition("/")
    if kind not in KINDS or not rest:
        raise ValueError(
            f"workloads: '{name}' is none; write one of {', '.join(KINDS)}, a slash and its name"
        )
    return f"/apis/apps/v1/namespaces/{namespace}/{KINDS[kind]}/{rest}"


def missing_part(workload: Object | None) -> str:
    """What the workload lacks, or nothing once it is rolled out."""
    if workload is None:
        return "is not there"
    status, generation = workload.get("status") or {}, workload["metadata"]["generation"]
    if status.get("observedGeneration", 0) < generation:
        return "is not looked at by its controller yet"
    if "desiredNumberScheduled" in status:
        wanted = status["desiredNumberScheduled"]
        counts = {
            "updated": status.get("updatedNumberScheduled", 0),
            "available": status.get("numberAvailable", 0),
        }
    else:
        wanted = workload["spec"].get("replicas", 1)
        counts = {
            "existing": status.get("replicas", 0),
            "updated": status.get("updatedReplicas", 0),
            "available": status.get("availableReplicas", 0),
        }
    off = [f"{count} {word}" for word, count in counts.items() if count != wanted]
    return f"wants {wanted} pods: {', '.join(off)}" if off else ""


def pods_of(api: KubernetesApi, namespace: str, name: str) -> list[Object]:
    """The pods that a workload's selector finds."""
    workload = api.find(workload_path(namespace, name))
    labels = (((workload or {}).get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    if not labels:
        return []
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    pods: list[Object] = api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]
    return pods


def container_states(pod: Object) -> list[Object]:
    """The statuses of all containers, the ones that run first before the others."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def hopeless(api: KubernetesApi, namespace: str, workloads: list[str], waited: float) -> bool:
    """Whether a pod waits for what will not come, after so many seconds of waiting."""
    waiting = (
        (state.get("state") or {}).get("waiting") or {}
        for name in workloads
        for pod in pods_of(api, namespace, name)
        for state in container_states(pod)
    )
    return any(
        each.get("reason") in HOPELESS or (waited > PULL_SECONDS and pull_cause(each)) for each in waiting
    )


def pull_cause(waiting: Object) -> str:
    """Why an image cannot be pulled, where the message tells."""
    if "Image" not in waiting.get("reason", ""):
        return ""
    message = waiting.get("message", "")
    return next((meaning for pattern, meaning in PULLS if re.search(pattern, message)), "")


def describe_container(state: Object) -> str:
    """One container in one line."""
    now = state.get("state") or {}
    last = (state.get("lastState") or {}).get("terminated")
    if "waiting" in now:
        text = f"waits: {now['waiting'].get('reason')} {now['waiting'].get('message', '')}".rstrip()
        if cause := pull_cause(now["waiting"]):
            text += f" (likely cause: {cause})"
    elif "terminated" in now:
        text = f"ended with {now['terminated'].get('exitCode')} ({now['terminated'].get('reason')})"
    else:
        text = "runs and is ready" if state.get("ready") else "runs and is not ready"
    if last:
        text += f"; before that it ended with {last.get('exitCode')} ({last.get('reason')})"
    return f"container {state['name']} {text}; {state.get('restartCount', 0)} restarts"


def describe_pod(pod: Object) -> list[str]:
    """A pod's phase, its unmet conditions and its containers."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    node = (pod.get("spec") or {}).get("nodeName") or "no node"
    lines = [f"pod {name} on {node}: {status.get('phase', 'unknown')}"]
    lines += [
        f"  not {unmet['type']}: {unmet.get('reason', '')} {unmet.get('message', '')}".rstrip()
        for unmet in status.get("conditions") or []
        if unmet.get("status") == "False"
    ]
    return lines + [f"  {describe_container(state)}" for state in container_states(pod)]


def read_events(api: KubernetesApi, namespace: str, names: set[str]) -> list[str]:
    """The newest warnings about some objects."""
    events = api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    events = [e for e in events if e.get("type") != "Normal" and e["involvedObject"].get("name") in names]
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return [
        "  event {kind}/{name}: ".format(**e["involvedObject"]) + f"{e.get('reason')}: {e.get('message')}"
        for e in events[-EVENTS:]
    ]


def read_log(api: KubernetesApi, namespace: str, pod: Object) -> list[str]:
    """The last lines of the containers that are not ready; of the run before, where this one has none."""
    lines: list[str] = []
    for state in container_states(pod):
        if state.get("ready"):
            continue
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
        for previous in ("false", "true"):
            try:
                text = api.get(path, container=state["name"], tailLines=LOG_LINES, previous=previous)
            except ApiError:
                continue  # it never ran: there is no log, and the state says why
            if text:
                lines += [f"  log of {state['name']}:", *(f"    {line}" for line in str(text).splitlines())]
                break
    return lines


def diagnose(api: KubernetesApi, namespace: str, workloads: list[str]) -> str:
    """Everything that tells why, as text."""
    lines: list[str] = []
    for name in workloads:
        pods = pods_of(api, namespace, name)
        names = {name.partition("/")[2], *(pod["metadata"]["name"] for pod in pods)}
        names |= {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods
            for volume in pod["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        }
        lines.append(f"{name}:" if pods else f"{name}: there is no pod of it")
        for pod in pods:
            lines += [f"  {line}" for line in [*describe_pod(pod), *read_log(api, namespace, pod)]]
        lines += [f"  {line}" for line in read_events(api, namespace, names)]
    return "\n".join(lines)
