#!/usr/bin/python
"""Read what multipass says of its instances."""

from __future__ import annotations

DOCUMENTATION = r"""
module: multipass_vm_info
short_description: State, addresses and sizes of multipass instances
description: Runs on the computer on which multipass is installed. Changes nothing.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  names:
    description: The instances to read; without names, all. A missing instance has the state C(absent).
    type: list
    elements: str
    default: []
  executable:
    description: The multipass command.
    type: str
    default: multipass
"""

EXAMPLES = r"""
- name: Read two instances
  multipass_vm_info:
    names: [metal-1, metal-2]
  register: machines
"""

RETURN = r"""
version:
  description: Versions of the command (C(multipass)) and of its service (C(multipassd)).
  type: dict
  returned: always
  sample: {multipass: 1.16.1, multipassd: 1.16.1}
instances:
  description: Instances by name, each with C(state), C(ipv4), C(release), C(image), C(cpus), C(memory),
    C(disk) and C(mounts). States are in small letters.
  type: dict
  returned: always
"""

from dataclasses import asdict, replace

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.multipass.answers import (
    Instance,
    Multipass,
    MultipassError,
    read_info,
    read_list,
    read_setting,
    read_version,
)
from ansible.module_utils.metalworks.multipass.command import runner

ARGUMENTS = options_of(DOCUMENTATION)


def read(multipass: Multipass, name: str) -> Instance:
    """Return one instance, with the memory that was ordered."""
    found = read_info(multipass, name)
    if found.state == "absent":
        return found
    return replace(found, memory=read_setting(multipass, name, "memory"))


def main() -> None:
    """Read the instances that are named, or all, and return them by name."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    multipass = runner(module, module.params["executable"])
    try:
        version = read_version(multipass)
        names = module.params["names"] or [instance.name for instance in read_list(multipass)]
        instances = {name: asdict(read(multipass, name)) for name in names}
    except MultipassError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, version=version, instances=instances)


if __name__ == "__main__":
    main()
