"""A node with Python 3.9 becomes Ready and takes images; that each module ran is what converge shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]


def test_the_machine_has_the_oldest_python_that_is_supported(host: Any) -> None:
    assert host.check_output("python3 -c 'import sys; print(*sys.version_info[:2])'") == "3 9"
    assert host.system_info.codename == "bullseye"


def test_every_module_that_runs_on_nodes_is_run_here() -> None:
    roles = ["preflight", "node", "k3s_binary", "k3s_server", "node_measurements"]
    tasks = [ROOT / "molecule/k3s_server-debian11/converge.yml"]
    tasks += [path for role in roles for path in (ROOT / "roles" / role).glob("tasks/*.yml")]
    used = {word for path in tasks for word in path.read_text().replace(":", " ").split()}
    modules = {path.stem for path in ROOT.glob("library/nodes/*.py")}
    assert modules - used == set()


def test_the_node_is_ready(host: Any) -> None:
    (node,) = json.loads(host.check_output("sudo k3s kubectl get nodes --output json"))["items"]
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["status"]["nodeInfo"]["osImage"].startswith("Debian GNU/Linux 11")


def test_the_node_has_the_image(host: Any) -> None:
    images = host.check_output("sudo k3s ctr --namespace k8s.io images ls --quiet")
    version = yaml.safe_load((ROOT / "artifacts.yml").read_text())["artifacts"]["proxy-image"]["build"][
        "version"
    ]
    assert f"metalworks.local/proxy:{version}" in images
