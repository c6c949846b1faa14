"""A module that runs in a fork of Ansible does what it does in an interpreter of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.playbooks import ROOT, play

PROBE = """\
#!/usr/bin/python
import os, signal, sys
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.files import sha256_of
options = {"how": {"type": "str"}, "password": {"type": "str", "no_log": True}}
module = AnsibleModule(options, supports_check_mode=True)
how = module.params["how"]
print("also on standard error", file=sys.stderr)
if how == "raise":
    raise ValueError("of the module")
if how == "exit":
    sys.exit("of the module")
if how == "end":
    os.kill(os.getpid(), signal.SIGTERM)
if how == "refuse":
    module.fail_json(msg="of the module", password=module.params["password"])
if how == "much":
    module.exit_json(much="x" * 300_000)
module.exit_json(
    folder=os.getcwd(), argv=sys.argv, word=os.environ.get("WORD"), input=sys.stdin.read(),
    check=module.check_mode, temporary=module.tmpdir, in_fork="ansible.executor.task_executor" in sys.modules,
)
"""
TASKS: dict[str, dict[str, Any]] = {
    "told": {"probe": {"how": "tell"}, "environment": {"WORD": "it's a $HOME"}},
    "check": {"probe": {"how": "tell"}, "check_mode": True},
    "wrong": {"probe": {"who": "nobody"}},
    "builtin": {"ansible.builtin.stat": {"path": "/"}},
    "collection": {
        "ansible.posix.sysctl": {"name": "kernel.none", "state": "absent", "sysctl_file": "/no/x"}
    },
    "command": {"ansible.builtin.command": {"argv": ["printf", "%s", "a b"]}},
    **{
        how: {"probe": {"how": how, "password": "h1dden"}}
        for how in ("raise", "exit", "end", "refuse", "much")
    },
}
# What differs between two runs, or between the two places of the module's file.
VOLATILE = {"delta", "start", "end", "folder", "argv", "temporary", "in_fork"}
VOLATILE |= {"exception", "module_stdout", "module_stderr"}

Results = Mapping[str, Mapping[str, Any]]


def run(folder: Path, plays: Any, hosts: Mapping[str, Mapping[str, str]]) -> str:
    """Run plays on hosts that run the probe with Ansible's own interpreter; return what Ansible prints."""
    (folder / "library").mkdir(exist_ok=True)
    (folder / "library" / "probe.py").write_text(PROBE)
    (folder / "play.yml").write_text(json.dumps(plays))
    own = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory = {"all": {"hosts": {host: {**own, **variables} for host, variables in hosts.items()}}}
    (folder / "hosts.yml").write_text(json.dumps(inventory))
    environment = {**os.environ, "ANSIBLE_LIBRARY": f"{ROOT / 'library'}:{folder / 'library'}"}
    return play(folder / "play.yml", folder / "hosts.yml", environment=environment).check().output


def results(folder: Path, connection: str, **options: str) -> Results:
    """Return the result of each task with a connection."""
    tasks = [{"name": name, "register": name, "ignore_errors": True, **task} for name, task in TASKS.items()]
    everything = "{{ {" + ", ".join(f"'{name}': {name}" for name in TASKS) + "} | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": everything, "dest": str(folder / "results.json")}})
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    run(folder, plays, {"localhost": {"ansible_connection": connection, **options}})
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the tasks return with local_fork."""
    return results(tmp_path_factory.mktemp("forked"), "local_fork")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the tasks return with Ansible's own plugin."""
    return results(tmp_path_factory.mktemp("started"), "local")


def lasting(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a result that is the same each time."""
    return {key: value for key, value in result.items() if key not in VOLATILE}


@pytest.mark.parametrize("task", [task for task in TASKS if task != "told"])
def test_a_task_returns_what_it_returns_with_an_interpreter_of_its_own(
    task: str, forked: Results, started: Results
) -> None:
    assert lasting(forked[task]) == lasting(started[task])


def test_the_module_was_in_a_fork_and_has_its_own_surroundings(forked: Results, started: Results) -> None:
    told = forked["told"]
    assert (told["in_fork"], started["told"]["in_fork"]) == (True, False)
    assert (told["word"], len(told["argv"]), told["input"]) == ("it's a $HOME", 1, "")
    assert Path(told["folder"]).name.startswith("forked")


def test_what_a_module_made_for_itself_is_removed_at_its_end(forked: Results) -> None:
    assert forked["told"]["temporary"] and not Path(forked["told"]["temporary"]).exists()


def test_another_interpreter_is_started(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    assert results(tmp_path, "local_fork", ansible_python_interpreter=str(other))["told"]["in_fork"] is False


def test_a_module_that_ran_in_a_fork_is_sent_to_machines_with_all_that_it_imports(tmp_path: Path) -> None:
    task = {"probe": {"how": "tell"}, "register": "told"}
    said = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} {{ told.in_fork }}"}}
    connections = {"here": "local_fork", "there": "local"}
    plays = [{"hosts": host, "gather_facts": False, "tasks": [task, said]} for host in connections]
    hosts = {host: {"ansible_connection": connection} for host, connection in connections.items()}
    output = run(tmp_path, plays, hosts)
    assert "here True" in output and "there False" in output


def test_a_task_without_pipelining_is_not_for_a_fork(tmp_path: Path) -> None:
    told = results(tmp_path, "local_fork", ansible_pipelining="no")["told"]
    assert (told["in_fork"], told["word"]) == (False, "it's a $HOME")
