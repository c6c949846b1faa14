"""What the tests of all scenarios share: hosts of an inventory with templates, and the journal of a failure.

testinfra reads `ansible-inventory --list`, which leaves templates as they are. Its other way (force_ansible)
starts Ansible for each command. Here the inventory is read once, with its templates resolved, and the
machines are asked over plain ssh.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import testinfra.utils.ansible_runner
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

# What a person would look at first.
EXPLANATIONS = {
    "units": "systemctl --failed --no-legend",
    "journal of k3s": "journalctl --no-pager --lines 60 --unit 'k3s*'",
    "events": "test -S /run/k3s/containerd/containerd.sock"
    " && /usr/local/bin/k3s kubectl get events --all-namespaces --sort-by .lastTimestamp | tail -n 30",
}


def resolved_inventory(_config: object, source: str | None) -> dict[str, Any]:
    """The inventory in the form of `ansible-inventory --list`, connection variables resolved."""
    loader = DataLoader()
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
    return {"_meta": {"hostvars": hostvars}, **groups}


def _connection(loader: DataLoader, variables: dict[str, Any]) -> dict[str, Any]:
    templar = Templar(loader=loader, variables=variables)
    wanted = {
        name: value for name, value in variables.items() if name.startswith(("ansible_", "metalworks_"))
    }
    del wanted["ansible_playbook_python"]
    return {
        name: templar.template(value) if isinstance(value, str) else value for name, value in wanted.items()
    }


def pytest_configure() -> None:
    init_plugin_loader()
    testinfra.utils.ansible_runner.get_ansible_inventory = resolved_inventory


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        for title, command in EXPLANATIONS.items():
            answer = host.run(command)
            text = (answer.stdout + answer.stderr).strip()
            if text:
                report.sections.append((f"{title} ({host.backend.get_pytest_id()})", text))
