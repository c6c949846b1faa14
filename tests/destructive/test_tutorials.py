"""The tutorials from top to bottom: each command prints what its page shows.

They need a lab. METALWORKS_TUTORIALS_LAB names one that runs and may be broken; without it the tests make one
of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import LAB, NETWORK, ROOT, make
from tests.support.artifacts import built_path
from tests.support.console import File, run_page, steps

RUNNING = os.environ.get("METALWORKS_TUTORIALS_LAB", "")
TUTORIALS = ROOT / "docs" / "tutorials"
ON_MULTIPASS = TUTORIALS / "multipass.md"
# Other tutorials happen in a browser, where tests/browser walks through them.
IN_THE_LAB = [
    page for page in sorted(TUTORIALS.glob("*.md")) if page != ON_MULTIPASS and steps(page.read_text())
]
# The stand-in for multipass runs containers, which need what a rehearsal sets.
INVENTORY = "INVENTORY=inventories/multipass"
REHEARSAL = {INVENTORY: f"{INVENTORY}' --extra-vars @tests/targets/rehearsal.yml'"}
# Where the pages name their lab, which is called `lab`.
NAMED = ("metalworks-{}", "{}-metal-", ".state/{}/")
NETWORK_OF_PAGES = "172.30.7."


@dataclass(frozen=True)
class Lab:
    """A lab that runs: its name, what the pages call otherwise, and the environment of who types."""

    name: str
    names: dict[str, str]
    environment: dict[str, str]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if not RUNNING:
        make("up")
    name = RUNNING or LAB
    record = json.loads((ROOT / "inventories" / "lab" / ".state" / name / "platform.json").read_text())
    network = record["nodes"]["metal-1"].rpartition(".")[0]
    names = {each.format("lab"): each.format(name) for each in NAMED} | {NETWORK_OF_PAGES: f"{network}."}
    # A home of its own, because the pages choose a context, and install programs.
    home = tmp_path_factory.mktemp("home")
    for folder in (home / ".kube", home / ".local" / "bin"):
        folder.mkdir(parents=True)
    shutil.copyfile(Path(record["kubeconfig"]).expanduser(), home / ".kube" / "config")
    (home / ".local" / "bin" / "kubectl").symlink_to(built_path("k3s"))
    environment = {
        **os.environ,
        **({} if RUNNING else NETWORK),
        "METALWORKS_LAB": name,
        "HOME": str(home),
        "KUBECONFIG": str(home / ".kube" / "config"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "PATH": f"{home}/.local/bin:{os.environ['PATH']}",
        "ANSIBLE_FORCE_COLOR": "0",
    }
    yield Lab(name, names, environment)
    if not RUNNING:
        make("down")


@pytest.fixture
def tidied(page: Path, lab: Lab) -> Iterator[Lab]:
    """Take back what a page that failed has left: a machine that is stopped, and lines in the inventory."""
    yield lab
    subprocess.run(["docker", "start", f"{lab.name}-metal-2"], check=True, capture_output=True)
    files = {ROOT / step.path for step in steps(page.read_text()) if isinstance(step, File)}
    left = [path for path in files if path.is_relative_to(ROOT) and path.exists()]
    for path in left:
        path.unlink()
    if left:
        again = [".venv/bin/ansible-playbook", "-i", "inventories/lab", "playbooks/model.yml"]
        subprocess.run(again, cwd=ROOT, env=lab.environment, check=True, capture_output=True)


@pytest.mark.parametrize("page", IN_THE_LAB, ids=lambda page: page.stem)
def test_each_command_prints_what_the_page_shows(page: Path, tidied: Lab) -> None:
    run_page(page, ROOT, tidied.environment, tidied.names)


def test_multipass_on_its_stand_in(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "METALWORKS_MULTIPASS": "tutorial-multipass",
        "METALWORKS_MULTIPASS_SUBNET": "172.30.18.0/24",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PATH": f"{ROOT / 'lab' / 'multipass' / 'bin'}:{os.environ['PATH']}",
        "ANSIBLE_FORCE_COLOR": "0",
    }
    try:
        run_page(ON_MULTIPASS, ROOT, environment, REHEARSAL)
    finally:
        command = ["make", "down", REHEARSAL[INVENTORY].replace("'", "")]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
