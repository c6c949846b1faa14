"""The containers behind the instances."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from lab.multipass.answers import DAEMON_FAIL, Failure
from lab.multipass.records import Record, service_name

ROOT = Path(__file__).resolve().parents[2]
# What makes a container a machine stands in the role that makes the lab's.
FILES = ROOT / "lab" / "roles" / "lab_machines" / "files"
BOOT = FILES / "boot.sh"
OPTIONS = FILES / "container.yml"
# Options have their names in community.docker.docker_container there; here are docker's own.
FLAGS = {
    "stop_signal": "--stop-signal",
    "env": "--env",
    "capabilities": "--cap-add",
    "cap_drop": "--cap-drop",
    "security_opts": "--security-opt",
    "device_cgroup_rules": "--device-cgroup-rule",
    "cgroupns_mode": "--cgroupns",
    "tmpfs": "--tmpfs",
}
LABEL = "metalworks.multipass"
SUBNET = os.environ.get("METALWORKS_MULTIPASS_SUBNET", "172.30.12.0/24")
STATES = {"running": "Running", "paused": "Suspended", "restarting": "Restarting"}
FIRST_HOST = 10


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Run docker and return its output. No answer from Docker counts as: multipass's service does not run."""
    try:
        done = subprocess.run(
            ["docker", *arguments], input=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise Failure("cannot connect to the multipass socket", DAEMON_FAIL) from error
    if "Cannot connect to the Docker daemon" in done.stderr or "error during connect" in done.stderr:
        raise Failure("cannot connect to the multipass socket", DAEMON_FAIL)
    if done.returncode != 0:
        raise Failure(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def container(name: str) -> str:
    """Return the name of an instance's container in Docker."""
    return f"{service_name()}-{name}"


def network() -> str:
    """Return the name of the Docker network that all instances of this service share."""
    return f"metalworks-{service_name()}"


def states() -> dict[str, str]:
    """Return the state of each instance's container, in multipass's words."""
    filters = ("--filter", f"label={LABEL}={service_name()}")
    listing = docker("ps", "--all", *filters, "--format", '{{.Label "metalworks.host"}} {{.State}}')
    rows = (line.split() for line in listing.splitlines())
    return {row[0]: STATES.get(row[1], "Stopped") for row in rows if len(row) == 2}


def without_network() -> set[str]:
    """Return the running instances that are on no network; they have no address, as before a DHCP lease."""
    filters = ("--filter", f"label={LABEL}={service_name()}", "--filter", "status=running")
    listing = docker("ps", *filters, "--format", '{{.Label "metalworks.host"}} {{.Networks}}')
    return {row[0] for row in map(str.split, listing.splitlines()) if len(row) == 1}


def node_image() -> str:
    """Return the image of a lab machine, which is built if it does not exist."""
    given = os.environ.get("METALWORKS_NODE_IMAGE")
    if given:
        return given
    build = [sys.executable, str(ROOT / "lab" / "build.py"), "--path", "node-image"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"the lab's node-image cannot be built: {done.stderr.strip()}")
    return done.stdout.split()[-1]


def network_exists() -> bool:
    """Tell whether the network exists. Somebody may have removed it together with the containers."""
    return bool(docker("network", "ls", "--quiet", "--filter", f"name=^{network()}$").strip())


def make_network() -> None:
    """Make the instances' network if it does not exist yet."""
    if not network_exists():
        docker("network", "create", "--subnet", SUBNET, "--label", f"{LABEL}={service_name()}", network())


def free_address(taken: Iterable[str]) -> str:
    """Return the first address that no instance has. An instance keeps its address."""
    used = set(taken)
    hosts = list(ipaddress.ip_network(SUBNET).hosts())[FIRST_HOST:]
    return next(str(host) for host in hosts if str(host) not in used)


def options_of_a_machine() -> list[str]:
    """Return the options of `docker run` that make a container a machine."""
    given = yaml.safe_load(OPTIONS.read_text())
    words = []
    for option, value in given.items():
        if isinstance(value, dict):
            values = [f"{key}={each}" for key, each in value.items()]
        else:
            values = value if isinstance(value, list) else [value]
        words += [word for each in values for word in (FLAGS[option], each)]
    return words


def create(record: Record, image: str) -> None:
    """Make and start the machine, as lab/roles/lab_machines makes the lab's."""
    name = container(record.name)
    mounts = [word for target, source in record.mounts.items() for word in ("--volume", f"{source}:{target}")]
    docker(
        *("run", "--detach", "--name", name, "--hostname", record.name, *options_of_a_machine()),
        *("--network", network(), "--ip", record.address),
        *("--label", f"{LABEL}={service_name()}", "--label", f"metalworks.host={record.name}"),
        *("--memory", str(record.memory), "--cpus", str(min(record.cpus, os.cpu_count() or 1))),
        *("--volume", f"{name}-data:/var/lib", *mounts),
        *(image, "/bin/sh", "-c", BOOT.read_text()),
    )


def resize(record: Record) -> None:
    """Give the container the record's processors and memory (in bytes), as upper bounds."""
    cpus = min(record.cpus, os.cpu_count() or 1)
    memory = str(record.memory)
    docker(
        "update",
        "--cpus",
        str(cpus),
        "--memory",
        memory,
        "--memory-swap",
        str(2 * record.memory),
        container(record.name),
    )


def start(name: str, state: str) -> None:
    """Start an instance, or let a suspended one go on."""
    docker("unpause" if state == "Suspended" else "start", container(name))


def stop(name: str) -> None:
    """Stop an instance; its processes have 30 s to end."""
    docker("stop", "--time", "30", container(name))


def suspend(name: str) -> None:
    """Freeze an instance's processes. They keep their memory, as those of a suspended machine do."""
    docker("pause", container(name))


def remove(name: str) -> None:
    """Remove an instance's container and its volume with all data."""
    docker("rm", "--force", container(name))
    docker("volume", "rm", "--force", f"{container(name)}-data")


def remove_network() -> None:
    """Remove the network, which no instance uses any more."""
    if network_exists():
        docker("network", "rm", network())


def inside(name: str, script: str) -> None:
    """Run a script in the machine as root."""
    docker("exec", "--interactive", container(name), "/bin/sh", "-s", stdin=script)


def execute(name: str, command: Sequence[str], folder: str | None) -> int:
    """Run a command as the default user, with this terminal and standard input."""
    terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    where = ["--workdir", folder or "/home/ubuntu"]
    words = ["docker", "exec", "--interactive", *terminal, "--user", "ubuntu", *where]
    home = ["--env", "HOME=/home/ubuntu", "--env", "USER=ubuntu"]
    return subprocess.run([*words, *home, container(name), *command], check=False).returncode


def copy(source: str, target: str) -> None:
    """Copy between this computer and a container. One of the paths reads `container:path`."""
    docker("cp", source, target)
