"""What an inventory writes for k3s may refer to other hosts."""

from __future__ import annotations

from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from plugins.filter.k3s import k3s_cluster

INVENTORY = """\
k3s_cluster:
  vars:
    k3s_server_config:
      tls-san: ["{{ hostvars['balancer'].ansible_host }}", "{{ groups['k3s_agent'] | first }}"]
  children:
    k3s_server: {hosts: {metal-1: {ansible_host: 198.18.0.11}}}
    k3s_agent: {hosts: {metal-2: {k3s_agent_node_ip: "{{ hostvars['metal-1'].ansible_host }}2"}}}
others: {hosts: {balancer: {ansible_host: 198.18.0.9}}}
"""


def test_a_template_may_ask_for_the_variables_of_another_host(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    loader = DataLoader()
    inventory = InventoryManager(loader, sources=[str(path)])
    hostvars = HostVars(inventory, VariableManager(loader, inventory), loader)
    nodes = k3s_cluster(inventory.get_groups_dict(), hostvars)["nodes"]
    assert nodes["metal-1"]["config"]["tls-san"][-2:] == ["198.18.0.9", "metal-2"]
    assert nodes["metal-2"]["addresses"] == ["198.18.0.112"]
