"""Is a workload rolled out? What do its pods wait for, and why?"""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.metalworks.images.names import PLACEHOLDER_HOST
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi

Object = dict[str, Any]

# kind -> its group and version, and its name in the API
KINDS = {
    "deployment": ("apps/v1", "deployments"),
    "statefulset": ("apps/v1", "statefulsets"),
    "daemonset": ("apps/v1", "daemonsets"),
    # What Prometheus' operator makes StatefulSets of. While it refuses a configuration, the former one runs.
    "prometheus": ("monitoring.coreos.com/v1", "prometheuses"),
    "alertmanager": ("monitoring.coreos.com/v1", "alertmanagers"),
}
RECONCILED = "Reconciled"
# Waiting does not mend these: the image is not on the node and may not be pulled, or its name is not valid.
HOPELESS = {"ErrImageNeverPull", "InvalidImageName"}
# What is said of a pull -> what it means and what to do. Waiting mends none of these, except for a first try:
# a node may not know yet the Secret that a pod logs in with. The kubelet tries again after 10 to 20 s.
PULLS: tuple[tuple[str, str], ...] = (
    (
        rf'image "{re.escape(PLACEHOLDER_HOST)}/',
        "the image was made here and is not on the node, and no registry has it: bring it there with "
        "playbooks/images.yml",
    ),
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
# What Kubernetes says of workloads, pods, containers and volumes -> what it means and what to do. The order
# is that of a pod's life; the first that matches is told. The wording is that of kube-scheduler's plugins, of
# the kubelet and of the controllers. No contract holds it: what does not match is still shown as it is.
CAUSES: tuple[tuple[str, str], ...] = (
    (r"exceeded quota", "the namespace's ResourceQuota has no room for the pods: raise it, or request less"),
    (
        r"violates PodSecurity|admission webhook .* denied",
        "a security rule of the cluster refuses the pods: see the labels pod-security.kubernetes.io of the "
        "namespace, or ask who runs the cluster",
    ),
    (
        r"Insufficient [\w./-]+",
        "no node has as much left as the pods request: request less, stop something, or add a node",
    ),
    (
        r"untolerated taint|had taint",
        "the nodes have taints that the pods do not tolerate: take one away, or tolerate it in the values",
    ),
    (r"were unschedulable", "the nodes are cordoned: kubectl uncordon NODE"),
    (
        r"didn't match Pod's node (affinity|selector)",
        "no node has the labels that the pods ask for: label a node, or change the selector in the values",
    ),
    (
        r"[Pp]ersistent[Vv]olume[Cc]laim \S+ is being deleted",
        "the pods' volume is being deleted, as after an uninstallation that was cut short: once it is gone, "
        "`helm rollback RELEASE` makes it again",
    ),
    (
        r"unbound immediate PersistentVolumeClaims|[Pp]ersistent[Vv]olume[Cc]laim \S+ not found|"
        r"ProvisioningFailed|waiting for a volume to be created",
        "the pods' volume does not exist: is there a storage class, and does its provisioner run? See "
        "`kubectl get storageclass` and `kubectl describe pvc`",
    ),
    (
        r"FailedMount|FailedAttachVolume|MountVolume\.SetUp failed",
        "a volume cannot be mounted; the events below name it",
    ),
    (
        r"CreateContainerConfigError|(secret|configmap) \S+ not found",
        "a Secret or ConfigMap that the pods name does not exist, or lacks a key",
    ),
    (
        r"ErrImageNeverPull",
        "the image is not on the node, and may not be pulled: bring it there with playbooks/images.yml",
    ),
    *PULLS,
    (
        r"ErrImagePull|ImagePullBackOff|InvalidImageName",
        "the image cannot be pulled: is its name right, does that version exist, and do the nodes reach the "
        "registry?",
    ),
    (r"exec format error", "the image was built for another architecture than that of the node"),
    (
        r"OOMKilled|ended with 137 ",
        "the kernel's OOM killer ended a container that needed more memory than its limit: raise the limit",
    ),
    (r"[Ee]victed|DiskPressure|MemoryPressure", "the node is short of disk or memory and removes pods"),
    (
        r"CrashLoopBackOff|waits: Error|ended with [1-9]",
        "the program in a container ends with an error: its last log lines say why",
    ),
    (
        r"(Readiness|Startup|Liveness) probe failed",
        "the program runs, and does not answer its probe: its log says what it is doing",
    ),
)
PULL_SECONDS = 40
LOG_LINES = 15
EVENTS = 8


def workload_path(namespace: str, name: str) -> str:
    """Return the API's path of a workload such as deployment/hub."""
    kind, _, rest = name.partition("/")
    if kind not in KINDS or not rest:
        raise ValueError(
            f"workloads: '{name}' is no workload; write one of {', '.join(KINDS)}, a slash and its name"
        )
    version, plural = KINDS[kind]
    return f"/apis/{version}/namespaces/{namespace}/{plural}/{rest}"


def is_observed(workload: Object) -> bool:
    """Tell whether the controller has seen the workload as it is now; before, its status is an old one."""
    observed: int = (workload.get("status") or {}).get("observedGeneration", 0)
    return observed >= int(workload["metadata"]["generation"])


def is_reconciled(resource: Object) -> bool:
    """Tell whether Prometheus' operator has made of a resource, as it is now, what it describes."""
    return any(
        each["type"] == RECONCILED
        and each["status"] == "True"
        and each.get("observedGeneration", 0) >= int(resource["metadata"]["generation"])
        for each in (resource.get("status") or {}).get("conditions") or []
    )


def missing_part(workload: Object | None) -> str:
    """Return what the workload lacks as the end of a sentence, or nothing once it is rolled out."""
    if workload is None:
        return "is not there"
    status = workload.get("status") or {}
    if not workload.get("apiVersion", "apps/").startswith("apps/"):
        return "" if is_reconciled(workload) else "is not taken over by its operator"
    if not is_observed(workload):
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


def unfinished(api: KubernetesApi, namespace: str, workloads: list[str]) -> dict[str, str]:
    """Return the workloads that are not rolled out, each with what is missing."""
    found = {name: missing_part(api.find(workload_path(namespace, name))) for name in workloads}
    return {name: text for name, text in found.items() if text}


def selector_of(workload: Object | None) -> str:
    """Return the label selector of a workload's pods as the API takes it; empty where there is none."""
    labels = (((workload or {}).get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def pods_of(api: KubernetesApi, namespace: str, workload: Object | None) -> list[Object]:
    """Return the pods that a workload's selector finds, those of earlier revisions among them."""
    selector = selector_of(workload)
    if not selector:
        return []
    pods: list[Object] = api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]
    return pods


def newest_pods(api: KubernetesApi, namespace: str, workload: Object | None) -> list[Object]:
    """Return the pods of a workload's newest revision. A broken pod of the one before says nothing about it.

    The labels are those that the controllers set: pod-template-hash by the Deployment's (its ReplicaSets are
    numbered in deployment.kubernetes.io/revision), controller-revision-hash by the StatefulSet's.
    """
    if workload is None or not is_observed(workload):
        return []
    label, revision = "controller-revision-hash", (workload.get("status") or {}).get("updateRevision")
    if workload.get("kind") == "Deployment":
        path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
        sets = api.get(path, labelSelector=selector_of(workload))["items"]
        newest = max(sets, key=_set_revision, default=None)
        label, revision = "pod-template-hash", _labels(newest).get("pod-template-hash")
        if not revision:
            return []
    return [
        pod
        for pod in pods_of(api, namespace, workload)
        if not pod["metadata"].get("deletionTimestamp")
        and (not revision or _labels(pod).get(label) == revision)
    ]


def _set_revision(replica_set: Object) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get("deployment.kubernetes.io/revision") or 0)


def _labels(item: Object | None) -> dict[str, str]:
    return dict(((item or {}).get("metadata") or {}).get("labels") or {})


def container_states(pod: Object) -> list[Object]:
    """Return the statuses of all containers, those of the init containers first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def hopeless(api: KubernetesApi, namespace: str, workloads: list[str], waited: float) -> bool:
    """Tell whether a pod of the newest revision waits in vain, after so many seconds of waiting."""
    waiting = (
        (state.get("state") or {}).get("waiting") or {}
        for name in workloads
        for pod in newest_pods(api, namespace, api.find(workload_path(namespace, name)))
        for state in container_states(pod)
    )
    return any(
        each.get("reason") in HOPELESS or (waited > PULL_SECONDS and pull_cause(each)) for each in waiting
    )


def pull_cause(waiting: Object) -> str:
    """Return why an image cannot be pulled, where the message tells."""
    if "Image" not in waiting.get("reason", ""):
        return ""
    message = waiting.get("message", "")
    return next((meaning for pattern, meaning in PULLS if re.search(pattern, message)), "")


def describe_container(state: Object) -> str:
    """Return one container's state in one line."""
    now = state.get("state") or {}
    last = (state.get("lastState") or {}).get("terminated")
    if "waiting" in now:
        text = f"waits: {now['waiting'].get('reason')} {now['waiting'].get('message', '')}".rstrip()
    elif "terminated" in now:
        text = f"ended with {now['terminated'].get('exitCode')} ({now['terminated'].get('reason')})"
    else:
        text = "runs and is ready" if state.get("ready") else "runs and is not ready"
    if last:
        text += f"; before that it ended with {last.get('exitCode')} ({last.get('reason')})"
    return f"container {state['name']} {text}; {state.get('restartCount', 0)} restarts"


def describe_pod(pod: Object) -> list[str]:
    """Return a pod's phase, its unmet conditions and its containers, a line each."""
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
    """Return the newest warnings about some objects, a line each."""
    events = api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    events = [e for e in events if e.get("type") != "Normal" and e["involvedObject"].get("name") in names]
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return [
        "  event {kind}/{name}: ".format(**e["involvedObject"]) + f"{e.get('reason')}: {e.get('message')}"
        for e in events[-EVENTS:]
    ]


def read_log(api: KubernetesApi, namespace: str, pod: Object) -> list[str]:
    """Return the last log lines of the containers that are not ready, if need be those of the run before."""
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


def describe_workload(workload: Object) -> list[str]:
    """Return the workload's conditions that tell of a fault, such as a quota without room for its pods."""
    return [
        f"{each['type']} is {each['status']}: {each.get('reason', '')} {each.get('message', '')}".rstrip()
        for each in (workload.get("status") or {}).get("conditions") or []
        if (each["status"] == "True") == (each["type"] == "ReplicaFailure")
    ]


def likely_cause(lines: list[str]) -> str:
    """Return what the lines mean, by the first cause that is known, or nothing."""
    text = "\n".join(lines)
    return next((meaning for pattern, meaning in CAUSES if re.search(pattern, text)), "")


def diagnose(api: KubernetesApi, namespace: str, workloads: list[str]) -> str:
    """Return all that tells why the workloads are not rolled out, the likely cause first."""
    told: list[str] = []  # by Kubernetes: only that is searched for causes, a program's log may say anything
    lines: list[str] = []
    for name in workloads:
        workload = api.find(workload_path(namespace, name))
        pods = pods_of(api, namespace, workload)
        names = {name.partition("/")[2], *(pod["metadata"]["name"] for pod in pods)}
        names |= {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods
            for volume in pod["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        }
        lines.append(f"{name}:" if pods else f"{name}: it has no pod")
        said = describe_workload(workload or {})
        lines += [f"  {line}" for line in said]
        for pod in pods:
            described = describe_pod(pod)
            said += described
            lines += [f"  {line}" for line in [*described, *read_log(api, namespace, pod)]]
        events = read_events(api, namespace, names)
        lines += [f"  {line}" for line in events]
        told += [*said, *events]
    return "\n".join(with_cause(lines, told))


def with_cause(lines: list[str], told: list[str]) -> list[str]:
    """Return the lines after one that says what is likely, if what Kubernetes has told means something."""
    cause = likely_cause(told)
    return [f"The likely cause: {cause}.", *lines] if cause else lines


def describe_pods(api: KubernetesApi, namespace: str, pods: list[Object], names: set[str]) -> list[str]:
    """Return all that tells why pods do not end well; `names` are further objects whose events count."""
    told = [line for pod in pods for line in describe_pod(pod)]
    told += read_events(api, namespace, names | {pod["metadata"]["name"] for pod in pods})
    logs = [line for pod in pods for line in read_log(api, namespace, pod)]
    return with_cause([*told, *logs], told)
