#!/usr/bin/env python3
"""Compare local_fork with the connection of Ansible that does the same. Writes result.md beside itself.

Each run is one play of the same small module, or none for the floor; the two connections take turns.
    benchmarks/connection/run.py [--runs 5] [--tasks 30]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# One module of Ansible, and one of this project that imports more and reads the catalogue.
MODULES = {
    "ansible.builtin.ping": {},
    "artifact": {"name": "hub-image", "catalogue": str(ROOT / "artifacts.yml")},
}
CONNECTIONS = ("local", "local_fork")


def seconds(folder: Path, connection: str, module: str, tasks: int) -> tuple[float, float]:
    """Return the time and the processor time of a play with some tasks."""
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{module: MODULES[module]}] * tasks}
    (folder / "play.yml").write_text(json.dumps([play]))
    host = {
        "ansible_connection": connection,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"localhost": host}}}))
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        ["ansible-playbook", "--inventory", folder / "hosts.yml", folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        check=True,
        capture_output=True,
    )
    took, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=30)
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for module in MODULES:
            per_task: dict[str, list[tuple[float, float]]] = {connection: [] for connection in CONNECTIONS}
            for _ in range(chosen.runs):
                for connection in CONNECTIONS:
                    floor = seconds(folder, connection, module, 0)
                    whole = seconds(folder, connection, module, chosen.tasks)
                    per_task[connection].append(
                        ((whole[0] - floor[0]) / chosen.tasks, (whole[1] - floor[1]) / chosen.tasks)
                    )
            own, fork = (
                [statistics.median(run[which] for run in per_task[connection]) for which in (0, 1)]
                for connection in CONNECTIONS
            )
            rows.append(
                f"| {module} | {own[0]:.2f} | {fork[0]:.2f} | {own[0] / fork[0]:.1f} "
                f"| {own[1]:.2f} | {fork[1]:.2f} | {own[1] / fork[1]:.1f} |"
            )
    load = f"{os.getloadavg()[0]:.1f}"
    text = f"""# A module on the operator's computer
`benchmarks/connection/run.py`, {datetime.now():%Y-%m-%d}, {os.cpu_count()} cores, load {load}.
Each figure is the median of {chosen.runs} plays, for one of {chosen.tasks} tasks, less a play without tasks.

| module | local, s | local_fork, s | ratio | local, processor s | local_fork, processor s | ratio |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
    Path(__file__).with_name("result.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
