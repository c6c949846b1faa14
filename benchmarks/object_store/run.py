#!/usr/bin/env python3
"""Measure what the object store takes at rest, and how fast one file goes there and back.

Asks the running platform, which needs the part `object_store` and, on the store's node, the image of data
science. Writes result.md beside itself. The client runs in a pod like a user's server: image, labels, key,
settings and memory, on the node of the store. dvc is measured against the fastest client of the same run, and
all against a copy of the same file on the same disk.
    benchmarks/object_store/run.py [--rounds 5] [--mib 1024] [--user NAME] [--image datascience]
        [--inventory inventories/lab | --kubeconfig PATH --context NAME --namespace NAME]
"""

from __future__ import annotations

import argparse
import json
import os
import platform as computer
import re
import statistics
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from kubernetes import client, config

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.pods import run_in_pod  # noqa: E402

STORE, SELECTOR = "object-store", "app.kubernetes.io/name=object-store"
POD = "object-store-benchmark"
BAR = 0.5  # dvc moves at least this share of what the fastest client does
MEMORY = "2G"  # the limit of the notebook for data science


def memory(core: client.CoreV1Api, pod: Any) -> dict[str, float]:
    """Return what the program of each container of a pod has resident, in MiB."""
    # The image of the gateway has a shell, and no cat.
    command = ("sh", "-c", 'while read -r line; do echo "$line"; done </proc/1/status')
    found: dict[str, float] = {}
    for container in (each.name for each in pod.spec.containers):
        status = run_in_pod(core, pod.metadata.namespace, pod.metadata.name, *command, container=container)
        (resident,) = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        found[container] = int(resident) / 1024
    return found


def image_on(core: client.CoreV1Api, node: str, name: str) -> str:
    """Return the reference of an image that a node has."""
    for image in core.read_node(node).status.images:
        for reference in image.names:
            if name in reference and "@" not in reference:
                return str(reference)
    raise SystemExit(f"The node {node} has no image called {name}: name another one with --image.")


def client_pod(node: str, image: str, user: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the pod of the client: a user's server in the eyes of the store."""
    variables = {
        "AWS_SHARED_CREDENTIALS_FILE": "/store/credentials",
        "AWS_CONFIG_FILE": "/store/config",
        "S3_PREFIX": f"s3://user-{user}",
        "DVC_SYSTEM_CONFIG_DIR": "/store/dvc",
        "DVC_NO_ANALYTICS": "true",
        "HOME": "/scratch",
    }
    container = {
        "name": "client",
        "image": image,
        "command": ["python", "/benchmark/client.py", str(arguments.rounds), str(arguments.mib)],
        "resources": {"limits": {"memory": MEMORY}},
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [
            {"name": "benchmark", "mountPath": "/benchmark"},
            {"name": "store", "mountPath": "/store"},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
    }
    files = [
        {"key": key, "path": path}
        for key, path in (("credentials", "credentials"), ("config", "config"), ("dvc", "dvc/config"))
    ]
    return {
        "metadata": {"name": POD, "labels": {"component": "singleuser-server"}},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
            "containers": [container],
            "volumes": [
                {"name": "benchmark", "configMap": {"name": POD}},
                {"name": "store", "secret": {"secretName": f"object-store-{user}", "items": files}},
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    }


def remove(core: client.CoreV1Api, namespace: str) -> None:
    """Remove the client, and wait until it is gone."""
    with suppress(client.ApiException):
        core.delete_namespaced_config_map(POD, namespace)
    with suppress(client.ApiException):
        core.delete_namespaced_pod(POD, namespace, grace_period_seconds=0)
        while True:
            core.read_namespaced_pod(POD, namespace)
            time.sleep(0.5)


def measure(core: client.CoreV1Api, node: str, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Return the seconds of each round, by the ways of the client."""
    namespace = arguments.namespace
    pod = client_pod(node, image_on(core, node, arguments.image), arguments.user, arguments)
    remove(core, namespace)
    script = {"client.py": (HERE / "client.py").read_text()}
    core.create_namespaced_config_map(namespace, {"metadata": {"name": POD}, "data": script})
    core.create_namespaced_pod(namespace, pod)
    try:
        while (phase := core.read_namespaced_pod(POD, namespace).status.phase) in ("Pending", "Running"):
            time.sleep(1)
        # By default the client of Kubernetes turns what looks like JSON into something else.
        log = core.read_namespaced_pod_log(POD, namespace, _preload_content=False).data.decode()
    finally:
        remove(core, namespace)
    if phase != "Succeeded":
        raise SystemExit(f"The client failed:\n{log}")
    return [json.loads(line) for line in log.splitlines()]


def report(
    rounds: list[dict[str, float]],
    rest: dict[str, float],
    after: dict[str, float],
    arguments: argparse.Namespace,
) -> str:
    """Return the result as a page."""
    middle = medians(rounds)
    rows = []
    for way, seconds in middle.items():
        ratios = [f"{seconds / middle[copy]:.1f}" for copy in ("copy", "synced copy")]
        all_of_them = ", ".join(f"{each[way]:.2f}" for each in rounds)
        cells = [way, f"{seconds:.2f}", f"{arguments.mib / seconds:.0f}", *ratios, all_of_them]
        rows.append(f"| {' | '.join(cells)} |")
    containers = [f"| {name} | {rest[name]:.0f} | {after[name]:.0f} |" for name in rest]
    return "\n".join(
        [
            "# The object store at rest and at work",
            "",
            f"`benchmarks/object_store/run.py`, {datetime.now():%Y-%m-%d}, {os.cpu_count()} cores "
            f"({computer.machine()}), load {os.getloadavg()[0]:.1f}, {len(rounds)} rounds in turn.",
            "",
            "| container | RSS at rest, MiB | RSS after the work, MiB |",
            "|---|---|---|",
            *containers,
            f"| **all** | **{sum(rest.values()):.0f}** | **{sum(after.values()):.0f}** |",
            "",
            f"One file of {arguments.mib} MiB, in a pod on the store's node: both share the cores. "
            "A copy ends in the memory of the kernel, and so do uploads and downloads; a synced copy ends on "
            "the disk. dvc moves files by s3fs; its commands are measured whole, with their start, and a "
            "pull also copies the file from dvc's cache to its place.",
            "",
            "| way | median s | MiB/s | of a copy | of a synced copy | all, s |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"| dvc against the fastest client, bar {BAR} | share |",
            "|---|---|",
            *(f"| {command} | {share:.2f} |" for command, share in shares(middle).items()),
            "",
        ]
    )


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median seconds of each way."""
    return {way: statistics.median(each[way] for each in rounds) for way in rounds[0]}


def shares(middle: dict[str, float]) -> dict[str, float]:
    """Return dvc's throughput as a share of that of the fastest client, by its commands."""
    kinds = {"dvc push": "upload by", "dvc pull": "download by"}
    return {
        command: min(seconds for way, seconds in middle.items() if way.startswith(kind)) / middle[command]
        for command, kind in kinds.items()
    }


def parse() -> argparse.Namespace:
    """Read the command line, and what the platform's record adds to it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--user")
    parser.add_argument("--image", default="datascience")
    parser.add_argument("--inventory", type=Path, default=ROOT / "inventories" / "lab")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--context")
    parser.add_argument("--namespace", default="jupyterhub")
    arguments = parser.parse_args()
    if not arguments.kubeconfig:
        record = arguments.inventory / ".state" / os.environ.get("METALWORKS_LAB", "lab") / "platform.json"
        if not record.exists():
            raise SystemExit(f"No platform is recorded at {record}: run `make up` first.")
        platform = json.loads(record.read_text())
        arguments.kubeconfig, arguments.context = platform["kubeconfig"], platform["context"]
        arguments.user = arguments.user or platform["users"][0]["name"]
    return arguments


def main() -> int:
    """Measure and write the result."""
    arguments = parse()
    with config.new_client_from_config(arguments.kubeconfig, arguments.context) as api:
        core = client.CoreV1Api(api)
        pods = core.list_namespaced_pod(STORE, label_selector=SELECTOR).items
        if not pods:
            raise SystemExit(
                f"There is no store in the namespace {STORE}: put object_store into metalworks_parts."
            )
        rest = memory(core, pods[0])
        rounds = measure(core, pods[0].spec.node_name, arguments)
        page = report(rounds, rest, memory(core, pods[0]), arguments)
    print(page)
    (HERE / "result.md").write_text(page)
    return 0 if min(shares(medians(rounds)).values()) >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
