"""Fixtures and hooks for all tests that ask machines.

Which inventory, how to connect, what explains a failure.

testinfra reads `ansible-inventory --list`, which leaves templates as they are. Its other way (force_ansible)
starts Ansible for each command. Here the inventory is read once, with its templates resolved, and the
machines are asked over plain ssh.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
import testinfra
import testinfra.backend.ssh
import testinfra.utils.ansible_runner
from ansible import constants as C
from ansible.cli import CLI
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.vars.manager import VariableManager
from testinfra.backend.base import CommandResult
from testinfra.backend.ssh import SshBackend

ROOT = Path(__file__).resolve().parent
# What modules share is imported as Ansible imports it.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
DEFAULTS = ROOT / "roles" / "platform_defaults" / "defaults" / "main.yml"

# The commands that a person would run first after a failure. Only a server has a kubeconfig.
KUBECTL = "test ! -e /etc/rancher/k3s/k3s.yaml || /usr/local/bin/k3s kubectl get --all-namespaces"
EXPLANATIONS = {
    "failed units": "systemctl --failed --no-legend",
    "journal of k3s": "journalctl --no-pager --lines 60 --unit 'k3s*'",
    "pods": f"{KUBECTL} pods --output wide",
    "events": f"{KUBECTL} events --sort-by .lastTimestamp | tail -n 30",
}
# The tests that need running machines, whether or not they ask one themselves.
NEED_MACHINES = ("molecule", "tests/browser", "tests/contract", "tests/platform")

# The passwords of sudo by the machine's address.
PASSWORD = {"ansible_host", "ansible_become_password"}
SUDO_PASSWORDS: dict[str, str] = {}


@cache
def connections() -> Path:
    """Return the folder with the sockets of the connections to machines; it lasts until the tests end."""
    # Not in TMPDIR: a path of a socket has at most 107 characters (unix(7)), of which ssh needs 58.
    return Path(tempfile.mkdtemp(prefix="metalworks-", dir="/tmp"))


class Ssh(SshBackend):
    """ssh to a machine whose sudo may ask for a password.

    The password goes through standard input, not the command line. One connection carries all commands: a
    login of its own for each takes longer than most commands.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Name the socket of the connection; `%%` because testinfra fills the command in by `%`."""
        super().__init__(*args, **{**kwargs, "controlpath": f"{connections()}/%%C"})

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        """Return the command with sudo, which reads a password from standard input where it needs one."""
        asked: str = super().get_sudo_command(command, sudo_user)
        return (
            asked.replace("sudo ", "sudo --stdin --prompt= ", 1)
            if self.host.name in SUDO_PASSWORDS
            else asked
        )

    def run_local(self, command: str, *args: str) -> CommandResult:
        """Run ssh, and hand sudo's password to it."""
        line = self.encode(self.quote(command, *args))
        given = SUDO_PASSWORDS.get(self.host.name, "") if self.sudo else ""
        done = subprocess.run(line, shell=True, input=f"{given}\n".encode(), capture_output=True, check=False)
        return self.result(done.returncode, line, done.stdout, done.stderr)


@cache
def vault_secrets() -> Any:
    """Return the vault's secrets by Ansible's settings (ANSIBLE_VAULT_PASSWORD_FILE), without a prompt."""
    return CLI.setup_vault_secrets(DataLoader(), C.DEFAULT_VAULT_IDENTITY_LIST, auto_prompt=False)


def resolved_inventory(_config: object, source: str | None) -> dict[str, Any]:
    """Return the inventory in the form of `ansible-inventory --list`, with resolved connection variables."""
    loader = DataLoader()
    loader.set_vault_secrets(vault_secrets())
    inventory = InventoryManager(loader=loader, sources=[source] if source else None)
    variables = VariableManager(loader=loader, inventory=inventory)
    groups: dict[str, Any] = {
        name: {
            "hosts": [host.name for host in group.hosts],
            "children": [child.name for child in group.child_groups],
        }
        for name, group in inventory.groups.items()
    }
    hostvars = {
        host.name: _connection(loader, variables.get_vars(host=host)) for host in inventory.get_hosts()
    }
    SUDO_PASSWORDS.update(
        {
            its["ansible_host"]: its["ansible_become_password"]
            for its in hostvars.values()
            if its.keys() >= PASSWORD
        }
    )
    return {"_meta": {"hostvars": hostvars}, **groups}


def _connection(loader: DataLoader, variables: dict[str, Any]) -> dict[str, Any]:
    defaults = loader.load_from_file(str(DEFAULTS), trusted_as_template=True)
    every = {"metalworks_state_dir": defaults["metalworks_state_dir"], **variables}
    templar = Templar(loader=loader, variables=every)
    wanted = {name: value for name, value in every.items() if name.startswith(("ansible_", "metalworks_"))}
    del wanted["ansible_playbook_python"]
    return {
        name: templar.template(value) if isinstance(value, str) else value for name, value in wanted.items()
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --inventory."""
    parser.addoption(
        "--inventory",
        default="inventories/lab",
        help="the inventory whose platform is asked (default: the lab)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have testinfra use the inventory and ssh as they are described above."""
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
    # testinfra's own option, so that `ansible://` hosts come from the same inventory.
    config.option.ansible_inventory = config.option.ansible_inventory or config.option.inventory
    testinfra.utils.ansible_runner.get_ansible_inventory = resolved_inventory
    testinfra.backend.ssh.SshBackend = Ssh


def pytest_unconfigure() -> None:
    """End the connections to machines."""
    if connections.cache_info().currsize:
        for socket in connections().iterdir():
            command = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "machine"]
            subprocess.run(command, capture_output=True, check=False)
        # ssh removes its sockets itself, but a moment after it has answered.
        shutil.rmtree(connections(), ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests with the mark `long`, unless they are asked for: `make test-destructive` does."""
    long = [each for each in items if each.get_closest_marker("long")]
    if long and not os.environ.get("METALWORKS_LONG_TESTS"):
        config.hook.pytest_deselected(items=long)
        items[:] = [each for each in items if each not in long]


def explanations(host: Any) -> Iterator[tuple[str, str]]:
    """Yield each command's title and output on a machine, or why the machine cannot be reached."""
    for title, command in EXPLANATIONS.items():
        try:
            with host.sudo():
                answer = host.run(command)
        except RuntimeError as error:
            yield title, str(error)
            return
        if text := str(answer.stdout + answer.stderr).strip():
            yield title, text


def machines_of(item: pytest.Item) -> list[Any]:
    """The machines that may explain a failure: the test's own, else those of the inventory that is asked."""
    host = getattr(item, "funcargs", {}).get("host")
    if host is not None:
        return [host]
    if not item.nodeid.startswith(NEED_MACHINES):
        return []
    inventory = item.config.option.ansible_inventory
    return list(testinfra.get_hosts(["ansible://k3s_cluster"], ansible_inventory=inventory))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add to a failure what a person would look at first."""
    outcome: Any = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for host in machines_of(item):
        for title, text in explanations(host):
            report.sections.append((f"{title} ({host.backend.get_pytest_id()})", text))


@pytest.fixture(scope="session")
def platform(pytestconfig: pytest.Config) -> dict[str, Any]:
    """Return the addresses and logins that playbooks/verify.yml wrote into the state folder."""
    hosts = resolved_inventory(None, str(ROOT / pytestconfig.option.inventory))["_meta"]["hostvars"]
    record = Path(hosts["localhost"]["metalworks_state_dir"]) / "platform.json"
    if not record.exists():
        pytest.fail(f"No platform is recorded in {record}: run site.yml on that inventory first.")
    found: dict[str, Any] = json.loads(record.read_text())
    return found


@pytest.fixture(autouse=True)
def needs_the_parts(request: pytest.FixtureRequest) -> None:
    """Skip a test with the mark `parts` where the platform leaves one of them out."""
    mark = request.node.get_closest_marker("parts")
    if mark and (
        missing := [part for part in mark.args if part not in request.getfixturevalue("platform")["parts"]]
    ):
        pytest.skip(f"metalworks_parts of this platform leaves {', '.join(missing)} out")


@pytest.fixture(scope="session")
def api(platform: dict[str, Any]) -> Iterator[Any]:
    """Yield a client of the cluster's API, made from the operator's kubeconfig."""
    from kubernetes import client, config

    configuration = client.Configuration()
    config.load_kube_config(
        config_file=platform["kubeconfig"], context=platform["context"], client_configuration=configuration
    )
    with client.ApiClient(configuration) as connection:
        yield connection


@pytest.fixture(scope="session")
def cluster(platform: dict[str, Any]) -> Any:
    """Return the cluster's API as modules ask it, which can forward ports of pods."""
    from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi

    return KubernetesApi(platform["kubeconfig"], platform["context"])
