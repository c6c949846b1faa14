"""Give the hosts of the inventory the addresses of their multipass instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: multipass
short_description: Addresses of multipass instances
description:
  - Sets C(ansible_host) of hosts that another file of the inventory names, from
    C(multipass list --format json). It adds no hosts.
  - A host whose instance is missing, does not run or has no address gets the variable
    C(multipass_unreachable) instead, which holds the reason.
  - The instance of a host has the name in the host's own variable C(multipass_machines_instance), which may
    be a template of variables in the same file, and by default the host's name with O(prefix) before it. The
    plugin hands the name on in the variable C(multipass_instance), so that the role makes an instance of the
    same name.
  - Ansible reads the files of a folder in the order of their names, so this file must come after the one with
    the hosts. Its name ends in C(multipass.yml).
author: Metalworks
options:
  plugin:
    description: Must be V(multipass).
    type: str
    required: true
    choices: [multipass]
  group:
    description: The group whose hosts are instances.
    type: str
    default: all
  prefix:
    description: A prefix of the instances' names, for hosts that do not name their instance.
    type: str
    default: ""
  address_in:
    description: Networks in CIDR notation. If given, only an address in one of them is used.
    type: list
    elements: str
    default: []
  address_not_in:
    description: Networks whose addresses are never used. By default those of bridges for containers.
    type: list
    elements: str
    default: [10.42.0.0/16, 10.43.0.0/16, 172.17.0.0/16]
  executable:
    description: The multipass command.
    type: str
    default: multipass
"""

EXAMPLES = r"""
# inventories/multipass/multipass.yml
plugin: multipass
group: k3s_cluster
"""

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import Templar

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.multipass.answers import (
    NO_ADDRESS,
    Instance,
    Multipass,
    MultipassError,
    choose_address,
    read_info,
    read_list,
)
from ansible.module_utils.metalworks.multipass.command import plain_runner

NAMED_BY = "multipass_machines_instance"
NAME = "multipass_instance"
REASON = "multipass_unreachable"


def read(multipass: Multipass, names: list[str]) -> dict[str, Instance | MultipassError]:
    """Return the instances by name. For one that cannot be read, the error stands in its place.

    Some versions refuse to list at all when one instance has no address yet. Then each is asked for singly,
    so
    that the others keep their addresses.
    """
    try:
        return {instance.name: instance for instance in read_list(multipass)}
    except MultipassError as error:
        if NO_ADDRESS not in str(error):
            raise
    return {name: read_one(multipass, name) for name in names}


def read_one(multipass: Multipass, name: str) -> Instance | MultipassError:
    """Return one instance, or the error with which multipass answered."""
    try:
        return read_info(multipass, name)
    except MultipassError as error:
        return error


class InventoryModule(BaseInventoryPlugin):
    """Ask multipass once, when the inventory is read.

    The methods are those of Ansible's inventory plugins.
    """

    NAME = "multipass"

    def verify_file(self, path: str) -> bool:
        """Return whether the file's name says that it is this plugin's."""
        return bool(super().verify_file(path)) and path.endswith(("multipass.yml", "multipass.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Give each host of the group its address, or the reason why it has none."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        names = self.names(path)
        try:
            found = read(plain_runner(self.get_option("executable")), list(names.values()))
        except MultipassError as error:
            # Without multipass there are no machines yet. The inventory can be read all the same.
            self.display.warning(str(error))
            for host in names:
                self.give_reason(host, str(error).rstrip("."))
            return
        for host, name in names.items():
            self.give_address(host, name, found.get(name), path)

    def names(self, path: str) -> dict[str, str]:
        """Return the name of the instance of each host."""
        group = self.get_option("group")
        if group not in self.inventory.groups:
            raise AnsibleParserError(
                f"{path}: there is no group {group} (yet). Name a group of the inventory; the file with its "
                "hosts has to come before this one, which Ansible reads in the order of names"
            )
        prefix = self.get_option("prefix")
        found = {}
        for host in self.inventory.groups[group].get_hosts():
            given = Templar(self.loader, variables=host.get_vars()).template(host.vars.get(NAMED_BY))
            found[host.name] = str(given or f"{prefix}{host.name}")
            self.inventory.set_variable(host.name, NAME, found[host.name])
        return found

    def give_address(
        self, host: str, name: str, instance: Instance | MultipassError | None, path: str
    ) -> None:
        """Set the host's address, or the reason why it has none."""
        if isinstance(instance, MultipassError):
            self.give_reason(host, str(instance).rstrip("."))
            return
        if instance is None or instance.state != "running":
            state = instance.state if instance else "absent"
            self.give_reason(host, f"multipass's instance {name} is {state}")
            return
        try:
            address = choose_address(
                instance.ipv4, self.get_option("address_in"), self.get_option("address_not_in")
            )
        except ValueError as error:
            raise AnsibleParserError(f"{path}: {error}. Write a network such as 10.97.0.0/24") from error
        if address:
            self.inventory.set_variable(host, "ansible_host", address)
        elif instance.ipv4:
            addresses = ", ".join(instance.ipv4)
            self.give_reason(
                host,
                f"none of the addresses of {name} ({addresses}) fits address_in and address_not_in of {path}",
            )
        else:
            self.give_reason(host, f"multipass's instance {name} has no address yet")

    def give_reason(self, host: str, reason: str) -> None:
        """Store the reason.

        It is no error yet: the machine may be made in this run. Plays that need it show it.
        """
        self.inventory.set_variable(host, REASON, f"{host} cannot be reached: {reason}")
