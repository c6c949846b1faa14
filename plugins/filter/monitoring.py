"""Filters of the role monitoring: what the parts bring to be watched, in the form of the chart's values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible finds a project's module_utils for what it sends to a node; filters run here and share them.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.common.sizes import share
from ansible.module_utils.metalworks.k3s.keys import KEYS
from ansible.module_utils.metalworks.kubernetes.policies import in_namespace
from ansible.module_utils.metalworks.monitoring.boards import grafana
from ansible.module_utils.metalworks.monitoring.parts import (
    boards_of,
    collectors,
    keeping,
    kept,
    monitors_of,
    rules_of,
)
from ansible.module_utils.metalworks.monitoring.receivers import configuration, secrets

# Where Grafana's own chart lets it look for dashboards that are values of the release.
FOLDER = "/var/lib/grafana/dashboards/metalworks"
GRAFANA = {"app.kubernetes.io/name": "grafana"}
GRAFANA_PORT = 3000

DATA_FOLDER = str(KEYS["data-dir"].default)


def image(reference: str) -> dict[str, str]:
    """Return an image as the chart takes it: registry, repository, tag, and the digest's number."""
    name, _, digest = reference.partition("@sha256:")
    registry, _, path = name.partition("/")
    repository, _, tag = path.rpartition(":")
    found = {"registry": registry, "repository": repository, "tag": tag}
    return found | ({"sha": digest} if digest else {})


def images(references: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the images of all pods as the chart takes them, by name.

    The node exporter is a chart in it, which refuses `sha` and wants the digest as a whole.
    """
    found = {name: image(reference) for name, reference in references.items()}
    exporter = found.get("node-exporter", {})
    if "sha" in exporter:
        exporter["digest"] = f"sha256:{exporter.pop('sha')}"
    return found


def claim(size: str, storage_class: str) -> dict[str, Any]:
    """Return the template of a volume claim."""
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {"volumeClaimTemplate": {"spec": spec}}


def mounts_of_pods(data_folders: Iterable[str]) -> str:
    """Return the mounts whose sizes say nothing of a disk, as a regular expression for the node exporter."""
    usual = ("dev", "etc/.+", "proc", "sys", "run/.+", "var/lib/docker/.+", "var/lib/kubelet/.+")
    pods = [f"{re.escape(folder.strip('/'))}/agent/.+" for folder in (DATA_FOLDER, *data_folders)]
    return f"^/({'|'.join((*usual, *dict.fromkeys(pods)))})($|/)"


def ingress(peers: Iterable[str | Mapping[str, Any]], port: int) -> list[dict[str, Any]]:
    """Return the rules of a NetworkPolicy that let pods in to one port.

    A peer is a namespace, or a namespace with the labels of its pods.
    """
    found = []
    for peer in peers:
        whole: Mapping[str, Any] = {"namespace": peer} if isinstance(peer, str) else peer
        source = in_namespace(whole["namespace"])
        if whole.get("pods"):
            source["podSelector"] = {"matchLabels": dict(whole["pods"])}
        found.append({"from": [source], "ports": [{"port": port, "protocol": "TCP"}]})
    return found


def grafana_values(parts: Sequence[str], url: str, only: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with which Grafana shows the dashboards of the parts to one peer of the network.

    It has no login: `only`, which is the door, asks for one. The page is below /services/grafana/ of `url`.
    """
    boards = {name: {"json": json.dumps(grafana(name, board))} for name, board in boards_of(parts).items()}
    provider = {
        "name": "metalworks",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": FOLDER},
    }
    return {
        "enabled": True,
        "defaultDashboardsEnabled": False,
        "dashboardProviders": {"dashboardproviders.yaml": {"apiVersion": 1, "providers": [provider]}},
        "dashboards": {"metalworks": boards},
        "grafana.ini": {
            "server": {"root_url": f"{url.rstrip('/')}/services/grafana/", "serve_from_sub_path": True},
            "auth": {"disable_login_form": True},
            "auth.anonymous": {"enabled": True, "org_role": "Viewer"},
        },
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "extraObjects": [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "monitoring-grafana"},
                "spec": {
                    "podSelector": {"matchLabels": GRAFANA},
                    "policyTypes": ["Ingress"],
                    "ingress": ingress([only], GRAFANA_PORT),
                },
            }
        ],
    }


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "monitoring_alertmanager": configuration,
            "monitoring_boards": boards_of,
            "monitoring_claim": claim,
            "monitoring_collectors": collectors,
            "grafana_values": grafana_values,
            "monitoring_images": images,
            "monitoring_ingress": ingress,
            "monitoring_keeping": keeping,
            "monitoring_kept": kept,
            "monitoring_monitors": monitors_of,
            "monitoring_mounts_of_pods": mounts_of_pods,
            "monitoring_rules": rules_of,
            "monitoring_secrets": secrets,
            "monitoring_share": share,
        }
