#!/usr/bin/python
"""Say all that is wrong with an inventory, before any machine is touched."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_inventory
short_description: Say all that is wrong with an inventory
description:
  - Judges groups, names, addresses, k3s settings, token, users and choices of images by what the inventory
    says. Runs on the operator's computer and asks no machine.
  - Does not fail on what it finds. The caller shows all sentences at once.
  - Use it with C(no_log), because it is given the passwords. The sentences do not contain them.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  kind:
    description: Who makes the machines (C(metalworks_machines)).
    type: str
    required: true
  source:
    description: Where artifacts come from (C(metalworks_artifact_source)).
    type: str
    required: true
  k3s_version:
    description: The version of k3s that is to be installed.
    type: str
    required: true
  groups:
    description: Names of hosts by group. C(k3s_cluster), C(k3s_server) and C(k3s_agent) are read.
    type: dict
    required: true
  machines:
    description: The hosts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The host's name in the inventory.
        type: str
        required: true
      address:
        description: Its C(ansible_host). Without it its name.
        type: str
      server_config:
        description: Its C(k3s_server_config), read if it is a server.
        type: dict
      server_node_name:
        description: Its C(k3s_server_node_name), read if it is a server. Without it its name.
        type: str
      agent_config:
        description: Its C(k3s_agent_config), read if it is an agent.
        type: dict
      agent_node_name:
        description: Its C(k3s_agent_node_name), read if it is an agent. Without it its name.
        type: str
  token:
    description: The cluster's token, when the operator gives one.
    type: str
  users:
    description: The hub's users, each with C(name) and C(password) or C(password_hash).
    type: list
    elements: dict
    default: []
  name:
    description: The name of the platform, C(metalworks_name).
    type: str
    default: ""
  notebooks:
    description: The images to choose from, C(metalworks_notebooks).
    type: list
    elements: dict
    default: []
  artifacts:
    description: The catalogue of artifacts, as artifacts.yml has it.
    type: dict
    default: {}
  artifact_overrides:
    description: What the inventory says over it, C(metalworks_artifacts).
    type: raw
    default: {}
  profiles:
    description: The choices of the hub's spawn page, each with C(display_name), C(image) and C(default).
    type: list
    elements: dict
    default: []
  node_ports:
    description: The node ports that are opened, by the name of the variable that says so.
    type: dict
    default: {}
  subnet:
    description: The network of the lab's machines, where the lab makes them.
    type: str
  rehearsal:
    description: Whether the lab's stand-ins may run outside of the lab (C(metalworks_rehearsal)).
    type: bool
    default: false
  registry:
    description: The registry to which own images are pushed (C(metalworks_registry)).
    type: dict
    default: {}
  registries:
    description: Where nodes pull images from (C(k3s_registries)).
    type: raw
    default: {}
  api_address:
    description: The address in front of the servers, where one is (C(k3s_api_address)).
    type: raw
    default: ""
"""

EXAMPLES = r"""
- name: Judge the inventory
  preflight_inventory:
    kind: metal
    source: upstream
    k3s_version: v1.34.4+k3s1
    groups: {k3s_cluster: [a, b], k3s_server: [a], k3s_agent: [b]}
    machines:
      - {name: a, address: 192.168.1.11}
      - {name: b, address: 192.168.1.12}
  delegate_to: localhost
  no_log: true
  register: judgement
"""

RETURN = r"""
problems:
  description: What is wrong, where, and what to write instead; one sentence each.
  type: list
  elements: str
  returned: always
  sample: ["group k3s_server has 2 hosts (a, b): etcd needs an odd number to survive the loss of one; ..."]
"""

import ipaddress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.rules.inventory import Inventory, Machine, problems

# The values are judged by problems(), in words that name the variable; so most types are wide here.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    "k3s_version": {"type": "str", "required": True},
    "groups": {"type": "dict", "required": True},
    "machines": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str"},
            "server_config": {"type": "dict"},
            "server_node_name": {"type": "str"},
            "agent_config": {"type": "dict"},
            "agent_node_name": {"type": "str"},
        },
    },
    # Hidden by the task's no_log: marked here, "user1" would also be blotted out of the sentences.
    "token": {"type": "str", "no_log": False},
    "users": {"type": "list", "elements": "dict", "default": []},
    "profiles": {"type": "list", "elements": "dict", "default": []},
    "name": {"type": "str", "default": ""},
    "notebooks": {"type": "list", "elements": "dict", "default": []},
    "artifacts": {"type": "dict", "default": {}},
    "artifact_overrides": {"type": "raw", "default": {}},
    "node_ports": {"type": "dict", "default": {}},
    "subnet": {"type": "str"},
    "rehearsal": {"type": "bool", "default": False},
    "registry": {"type": "dict", "default": {}},
    "registries": {"type": "raw", "default": {}},
    "api_address": {"type": "raw", "default": ""},
}


def machine(host: dict[str, Any], servers: list[str]) -> Machine:
    role = "server" if host["name"] in servers else "agent"
    config = host[f"{role}_config"] or {}
    if role == "agent" and servers:
        config = {"server": f"https://{servers[0]}:6443", **config}  # as the role k3s_agent fills it in
    return Machine(
        name=host["name"],
        address=host["address"] or host["name"],
        node_name=str(config.get("node-name", host[f"{role}_node_name"] or host["name"])),
        config=config,
    )


def routes() -> list[str]:
    """The IPv4 networks to which this computer has a route (the kernel writes them in little-endian hex)."""
    table = Path("/proc/net/route")
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    columns = [line.split() for line in lines]
    return [f"{_dotted(column[1])}/{_dotted(column[7])}" for column in columns]


def _dotted(little_endian_hex: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(bytes.fromhex(little_endian_hex)[::-1])


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    inventory = Inventory(
        kind=params["kind"],
        source=params["source"],
        version=params["k3s_version"],
        groups=params["groups"],
        machines=[machine(host, params["groups"].get("k3s_server", [])) for host in params["machines"]],
        token=params["token"],
        users=params["users"],
        profiles=params["profiles"],
        name=params["name"],
        notebooks=params["notebooks"],
        artifacts=params["artifacts"],
        artifact_overrides=params["artifact_overrides"],
        node_ports=params["node_ports"],
        subnet=params["subnet"],
        routes=routes(),
        rehearsal=params["rehearsal"],
        registry=params["registry"],
        registries=params["registries"],
        api_address=params["api_address"],
    )
    module.exit_json(changed=False, problems=problems(inventory))


if __name__ == "__main__":
    main()
