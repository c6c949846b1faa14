"""A stand-in for kube-state-metrics: what the API knows of objects, as measurements. See CONTRACT.md."""

from __future__ import annotations

import argparse
import json
import re
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"
PATHS = {
    "daemonsets": "/apis/apps/v1/daemonsets",
    "deployments": "/apis/apps/v1/deployments",
    "horizontalpodautoscalers": "/apis/autoscaling/v2/horizontalpodautoscalers",
    "jobs": "/apis/batch/v1/jobs",
    "nodes": "/api/v1/nodes",
    "persistentvolumeclaims": "/api/v1/persistentvolumeclaims",
    "pods": "/api/v1/pods",
    "statefulsets": "/apis/apps/v1/statefulsets",
}
PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
STATES = ("true", "false", "unknown")
# What a quantity's suffix multiplies by.
UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
UNITS |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
NAMED_UNITS = {"cpu": "core", "memory": "byte", "ephemeral-storage": "byte"}

Object = Mapping[str, Any]
# name, labels, value
Sample = tuple[str, dict[str, str], float]


def quantity(text: str) -> float:
    """Return a quantity of Kubernetes, such as 100m or 2Gi, as a number."""
    found = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", text)
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{text!r} is no quantity")
    return float(found[1]) * UNITS[found[2]]


def amounts(name: str, labels: dict[str, str], found: Mapping[str, str]) -> Iterator[Sample]:
    """Yield one sample for each resource, with its unit."""
    for resource, text in found.items():
        unit = NAMED_UNITS.get(resource, "integer")
        yield name, {**labels, "resource": resource.replace("-", "_"), "unit": unit}, quantity(text)


def of_node(node: Object) -> Iterator[Sample]:
    """Yield the samples of a node."""
    labels = {"node": node["metadata"]["name"]}
    yield from amounts("kube_node_status_allocatable", labels, node["status"].get("allocatable", {}))
    for condition in node["status"].get("conditions", []):
        for state in STATES:
            told = {**labels, "condition": condition["type"], "status": state}
            yield "kube_node_status_condition", told, float(condition["status"].lower() == state)


def of_claim(found: Object) -> Iterator[Sample]:
    """Yield what a claim asks for."""
    size = quantity(found["spec"]["resources"]["requests"]["storage"])
    labels = _named(found, "persistentvolumeclaim")
    yield "kube_persistentvolumeclaim_resource_requests_storage_bytes", labels, size


def of_pod(pod: Object) -> Iterator[Sample]:
    """Yield the samples of a pod and its containers."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    labels = {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"]}
    node = spec.get("nodeName", "")
    yield "kube_pod_info", {**labels, "node": node}, 1
    for phase in PHASES:
        yield "kube_pod_status_phase", {**labels, "phase": phase}, float(status.get("phase") == phase)
    if meta.get("deletionTimestamp"):
        at = datetime.fromisoformat(meta["deletionTimestamp"].replace("Z", "+00:00"))
        yield "kube_pod_deletion_timestamp", labels, at.timestamp()
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield "kube_pod_status_unschedulable", labels, 1
    for container in spec["containers"]:
        told = {**labels, "container": container["name"], "node": node}
        resources = container.get("resources", {})
        yield from amounts("kube_pod_container_resource_requests", told, resources.get("requests", {}))
        yield from amounts("kube_pod_container_resource_limits", told, resources.get("limits", {}))
    for container in status.get("containerStatuses", []):
        told = {**labels, "container": container["name"]}
        yield "kube_pod_container_status_restarts_total", told, container["restartCount"]
        if reason := container.get("state", {}).get("waiting", {}).get("reason"):
            yield "kube_pod_container_status_waiting_reason", {**told, "reason": reason}, 1
        if reason := container.get("lastState", {}).get("terminated", {}).get("reason"):
            yield "kube_pod_container_status_last_terminated_reason", {**told, "reason": reason}, 1


def of_deployment(found: Object) -> Iterator[Sample]:
    """Yield how many pods a Deployment should have, and has."""
    labels = _named(found, "deployment")
    yield "kube_deployment_spec_replicas", labels, found["spec"].get("replicas", 1)
    available = found.get("status", {}).get("availableReplicas", 0)
    yield "kube_deployment_status_replicas_available", labels, available


def of_statefulset(found: Object) -> Iterator[Sample]:
    """Yield how many pods a StatefulSet should have, and has."""
    labels = _named(found, "statefulset")
    yield "kube_statefulset_replicas", labels, found["spec"].get("replicas", 1)
    yield "kube_statefulset_status_replicas_ready", labels, found.get("status", {}).get("readyReplicas", 0)


def of_daemonset(found: Object) -> Iterator[Sample]:
    """Yield on how many nodes a DaemonSet should have pods, and has."""
    labels, status = _named(found, "daemonset"), found.get("status", {})
    desired = status.get("desiredNumberScheduled", 0)
    yield "kube_daemonset_status_desired_number_scheduled", labels, desired
    yield "kube_daemonset_status_number_available", labels, status.get("numberAvailable", 0)


def of_job(found: Object) -> Iterator[Sample]:
    """Yield whether a Job has failed."""
    labels = _named(found, "job_name")
    for condition in found.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed":
            for state in STATES:
                told = {**labels, "condition": state}
                yield "kube_job_failed", told, float(condition["status"].lower() == state)


def of_autoscaler(found: Object) -> Iterator[Sample]:
    """Yield how many pods a HorizontalPodAutoscaler may choose, and has."""
    labels, spec = _named(found, "horizontalpodautoscaler"), found["spec"]
    yield "kube_horizontalpodautoscaler_spec_min_replicas", labels, spec.get("minReplicas", 1)
    yield "kube_horizontalpodautoscaler_spec_max_replicas", labels, spec["maxReplicas"]
    current = found.get("status", {}).get("currentReplicas", 0)
    yield "kube_horizontalpodautoscaler_status_current_replicas", labels, current


SAMPLES: dict[str, Callable[[Object], Iterator[Sample]]] = {
    "daemonsets": of_daemonset,
    "deployments": of_deployment,
    "horizontalpodautoscalers": of_autoscaler,
    "jobs": of_job,
    "nodes": of_node,
    "persistentvolumeclaims": of_claim,
    "pods": of_pod,
    "statefulsets": of_statefulset,
}


def written(samples: Iterator[Sample]) -> str:
    """Return samples in Prometheus' format, those of one name together."""
    lines: dict[str, list[str]] = {}
    for name, labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.setdefault(name, []).append(f"{name}{{{told}}} {float(value)!r}")
    kind = {name: "counter" if name.endswith("_total") else "gauge" for name in lines}
    return "".join(f"# TYPE {name} {kind[name]}\n" + "\n".join(lines[name]) + "\n" for name in sorted(lines))


def ask(path: str) -> list[Object]:
    """Return all objects that the API server lists under a path."""
    token = (ACCOUNT / "token").read_text()  # it is renewed from time to time
    request = urllib.request.Request(API + path, headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        items: list[Object] = json.load(answer)["items"]
    return items


def handler(kinds: list[str], allowed: set[str]) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers requests."""

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        def do_GET(self) -> None:
            """Serve the measurements, or say that the program lives."""
            if self.path == "/metrics":
                found = (
                    sample for kind in kinds for each in ask(PATHS[kind]) for sample in SAMPLES[kind](each)
                )
                body = written(sample for sample in found if sample[0] in allowed).encode()
            else:
                body = b"ok"
            self.send_response(200 if self.path in ("/metrics", "/livez", "/readyz") else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing: each probe would be a line."""

    return Handler


def main() -> None:
    """Serve for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--resources", required=True)
    parser.add_argument("--metric-allowlist", required=True)
    given = parser.parse_args()
    answers = handler(given.resources.split(","), set(given.metric_allowlist.split(",")))
    ThreadingHTTPServer(("", given.port), answers).serve_forever()


def _named(found: Object, kind: str) -> dict[str, str]:
    return {"namespace": found["metadata"]["namespace"], kind: found["metadata"]["name"]}


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


if __name__ == "__main__":
    main()
