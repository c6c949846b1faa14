#!/usr/bin/env python3
"""Prepare this computer for an inventory: install what is missing and start Docker where that is allowed.

The argument is the inventory, by default that of the lab. The lab needs Docker and debootstrap. Of others
the check before a run knows whether images are built or pushed here. So Docker and skopeo are installed
where that is allowed, and not demanded.

It prints nothing if all is there. If it may not change the computer, it prints the commands for an
administrator and exits with 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

# program -> package of Debian and Ubuntu.
NEEDED = {"ssh-keygen": "openssh-client"}
FOR_IMAGES = {"docker": "docker.io", "skopeo": "skopeo"}  # builds images, and pushes them to a registry
FOR_THE_LAB = {"debootstrap": "debootstrap"}
# Some tests need them, and nothing else.
USEFUL = {"chromium": "chromium", "shellcheck": "shellcheck"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
DAEMON_LOG = CACHE / "metalworks" / "dockerd.log"
START_SECONDS = 60


@dataclass(frozen=True)
class Computer:
    """What this computer has and lacks."""

    needed: Sequence[str]  # packages that are missing
    useful: Sequence[str]
    docker: str  # missing | stopped | denied | running
    may_act: bool  # root, or sudo without a password
    has_apt: bool
    has_systemd: bool
    lab: bool = True  # whether the lab runs here, which needs Docker


@dataclass(frozen=True)
class Step:
    """One step: a sentence for people, and the command that root has to run."""

    sentence: str
    command: tuple[str, ...]
    required: bool = True
    background: bool = False


def plan(found: Computer) -> list[Step]:
    """Return the steps in their order; none if nothing is missing."""
    steps = []
    if found.needed:
        steps.append(Step(f"Install {', '.join(found.needed)}", install(found.needed)))
    if found.useful:
        purpose = "for tests" if found.lab else "to build and push images, and for tests"
        sentence = f"Install {', '.join(found.useful)} ({purpose})"
        steps.append(Step(sentence, install(found.useful), required=False))
    if found.docker == "denied":
        user = os.environ.get("SUDO_USER") or os.environ.get("USER", "you")
        command = ("usermod", "-aG", "docker", user)
        steps.append(Step("Let this account use Docker (log in again afterwards)", command, found.lab))
    elif found.docker != "running":
        steps.append(replace(start(found.has_systemd), required=found.lab))
    return steps


def install(packages: Sequence[str]) -> tuple[str, ...]:
    """Return the command that installs packages without a question."""
    return ("apt-get", "install", "--yes", "--no-install-recommends", "-qq", *packages)


def start(has_systemd: bool) -> Step:
    """Return the step that starts Docker, by systemd if it runs on this computer."""
    if has_systemd:
        return Step("Start Docker", ("systemctl", "enable", "--now", "docker"))
    sentence = f"Start Docker in the background (no init runs here; log: {DAEMON_LOG})"
    return Step(sentence, ("dockerd",), background=True)


# Reading.


def read(lab: bool) -> Computer:
    """Look at this computer. Changes nothing."""
    docker = docker_state()
    # If the client reaches a daemon, no daemon has to be installed here.
    daemon = {} if docker in ("running", "denied") else {"dockerd": "docker.io"}
    return Computer(
        needed=missing({**NEEDED, **FOR_IMAGES, **FOR_THE_LAB, **daemon} if lab else NEEDED),
        useful=missing(USEFUL if lab else {**FOR_IMAGES, **daemon, **USEFUL}),
        docker=docker,
        may_act=os.geteuid() == 0 or succeeds("sudo", "-n", "true"),
        has_apt=shutil.which("apt-get") is not None,
        has_systemd=Path("/run/systemd/system").exists(),
        lab=lab,
    )


def missing(programs: dict[str, str]) -> list[str]:
    """Return the packages of the programs that are missing."""
    packages = {package for name, package in programs.items() if not shutil.which(name, path=search_path())}
    # In newer releases Docker's client is a package of its own.
    if not shutil.which("docker") and "docker.io" in packages and succeeds("apt-cache", "show", "docker-cli"):
        packages.add("docker-cli")
    return sorted(packages)


def search_path() -> str:
    """Return PATH with the sbin folders, in which debootstrap and dockerd are."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def docker_state() -> str:
    """Return whether Docker is missing, stopped, denied to this account, or running."""
    if not shutil.which("docker"):
        return "missing"
    done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return "running"
    return "denied" if "permission denied" in done.stderr.lower() else "stopped"


def succeeds(*command: str) -> bool:
    """Return whether a command exists and exits with 0. Its output is not shown."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


# Acting.


def apply(step: Step) -> bool:
    """Do one step. Return whether it worked."""
    print(f"{step.sentence}: {' '.join(step.command)}", flush=True)
    command = as_root(step.command)
    if step.background:
        return in_background(command)
    worked = subprocess.run(command, check=False, env=quiet_apt()).returncode == 0
    if not worked and step.command[0] == "apt-get":
        # The package lists may be missing or out of date.
        subprocess.run(as_root(("apt-get", "update", "--quiet")), check=False)
        worked = subprocess.run(command, check=False, env=quiet_apt()).returncode == 0
    return worked


def as_root(command: tuple[str, ...]) -> list[str]:
    """Return the command as it is run by root: with sudo, unless this is root."""
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def quiet_apt() -> dict[str, str]:
    """Return an environment in which apt asks no questions and finds the programs of sbin."""
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": search_path()}


def in_background(command: list[str]) -> bool:
    """Start a daemon that goes on after this program, and wait for it.

    Return whether it runs, else print its log.
    """
    DAEMON_LOG.parent.mkdir(parents=True, exist_ok=True)
    with DAEMON_LOG.open("ab") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=quiet_apt()
        )
    deadline = time.monotonic() + START_SECONDS
    while docker_state() == "stopped":
        if daemon.poll() is not None or time.monotonic() > deadline:
            print("\n".join(DAEMON_LOG.read_text(errors="replace").splitlines()[-15:]), file=sys.stderr)
            return False
        time.sleep(0.5)
    return True


def refuse(steps: list[Step], why: str) -> int:
    """Print the commands that an administrator has to run, and why. Return the exit code."""
    print(f"This computer lacks something, and {why}. As an administrator, run:", file=sys.stderr)
    for step in steps:
        ending = f" >>{DAEMON_LOG} 2>&1 &" if step.background else ""
        print(f"  {' '.join(step.command)}{ending}", file=sys.stderr)
    return 1


def is_lab(inventory: str) -> bool:
    """Return whether an inventory is one of the lab's, by its folder's name."""
    return Path(inventory).name.startswith("lab")


def main(inventory: str = "inventories/lab") -> int:
    """Install and start what is missing for an inventory. Return the exit code."""
    lab = is_lab(inventory)
    found = read(lab)
    steps = plan(found)
    required = [step for step in steps if step.required]
    if not steps:
        return 0
    if not found.has_apt and any(step.command[0] == "apt-get" for step in required):
        return refuse(required, "it has no apt-get (your distribution's packages have similar names)")
    if not found.may_act or (lab and found.docker == "denied"):
        return (
            refuse(required, "I may not change it (neither root nor sudo without a password)")
            if required
            else 0
        )
    if not found.has_apt:
        steps = [step for step in steps if step.command[0] != "apt-get"]
    for step in steps:
        if not apply(step) and step.required:
            return refuse([step], "this did not work")
    left = [step for step in plan(read(lab)) if step.required]
    return refuse(left, "this is still missing") if left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
