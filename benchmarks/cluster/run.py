#!/usr/bin/env python3
"""Compare the playbooks with commands by hand: from machines to two Ready nodes. Writes result.md.

The floor (floor.sh) is what the same computer needs for the same nodes by hand, with keys made beforehand.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LAB = {"METALWORKS_LAB": "bench", "METALWORKS_LAB_SUBNET": "172.30.11"}


def run(*command: str, **environment: str) -> str:
    """Run a command of the project; its output, or an error that shows it."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **LAB, **environment}, text=True, capture_output=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def play(*playbooks: str) -> tuple[float, str]:
    """Seconds and output of one ansible-playbook."""
    began = time.monotonic()
    output = run("ansible-playbook", "--inventory", "inventories/lab", *playbooks)
    return time.monotonic() - began, output


def heaviest(output: str, most: int = 6) -> list[tuple[str, float]]:
    """The tasks that took longest, from the callback profile_tasks."""
    rows = re.findall(r"^(.+?) -{3,} +([\d.]+)s$", output, re.MULTILINE)
    return sorted(((name, float(seconds)) for name, seconds in rows), key=lambda row: -row[1])[:most]


def main() -> None:
    """Measure both in turn, so that other load on the computer affects both."""
    made = json.loads(run(sys.executable, "lab/build.py", "k3s", "node-image", "k3s-airgap-images", "--json"))
    floors, ours, output = [], [], ""
    with tempfile.TemporaryDirectory() as folder:
        bin_folder = Path(folder)
        (bin_folder / "k3s").symlink_to(made["k3s"]["path"])
        for number in range(ROUNDS):
            play("playbooks/down.yml")
            seconds, output = play("playbooks/machines.yml", "playbooks/cluster.yml")
            ours.append(seconds)
            if number == 0:
                prepare(bin_folder, made["k3s"]["path"])
            play("playbooks/down.yml")
            floor = run(
                "benchmarks/cluster/floor.sh",
                IMAGE=made["node-image"]["reference"],
                BIN=str(bin_folder),
                ARCHIVE=made["k3s-airgap-images"]["path"],
            )
            floors.append(json.loads(floor.splitlines()[-1])["total"])
            print(f"round {number + 1}: playbooks {seconds:.1f} s, floor {floors[-1]:.1f} s", flush=True)
    report(ours, floors, heaviest(output))


def prepare(folder: Path, k3s: str) -> None:
    """The floor's folder of programs: k3s, and the shim that a machine of ours has unpacked."""
    found = run(
        "docker",
        "exec",
        "bench-metal-1",
        "find",
        "/var/lib/rancher/k3s/data",
        "-name",
        "containerd-shim-runc-v2",
    )
    (folder / "k3s").unlink()
    run("cp", k3s, str(folder / "k3s"))
    run("docker", "cp", f"bench-metal-1:{found.splitlines()[0]}", str(folder / "containerd-shim-runc-v2"))
    folder.chmod(0o755)


def report(ours: list[float], floors: list[float], tasks: list[tuple[str, float]]) -> None:
    """Write and print the medians and what dominates."""
    median, floor = statistics.median(ours), statistics.median(floors)
    commit = run("git", "rev-parse", "--short", "HEAD").strip()
    lines = [
        "# Machines to two Ready nodes, artifacts cached",
        f"`python benchmarks/cluster/run.py`, {time.strftime('%Y-%m-%d')}, commit {commit}, "
        f"{os.cpu_count()} cores, {len(ours)} rounds in turn.",
        "",
        "| what | median, s | all, s |",
        "|---|---|---|",
        f"| playbooks machines + cluster | {median:.1f} | {', '.join(f'{s:.1f}' for s in ours)} |",
        f"| floor (floor.sh) | {floor:.1f} | {', '.join(f'{s:.1f}' for s in floors)} |",
        f"| ratio (bar: at most 10) | {median / floor:.1f} | "
        f"{', '.join(f'{a / b:.1f}' for a, b in zip(ours, floors, strict=True))} |",
        "",
        "What dominates the last round:",
        "",
        "| task | s |",
        "|---|---|",
        *[f"| {name} | {seconds:.1f} |" for name, seconds in tasks],
    ]
    text = "\n".join(lines) + "\n"
    (HERE / "result.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
