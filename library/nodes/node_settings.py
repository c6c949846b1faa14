#!/usr/bin/python
"""Set what a machine's kernel and files need before it can be a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_settings
short_description: Prepare a machine to be a node
description:
  - Loads kernel modules and sets kernel parameters, now and at boot; turns swap off on demand; makes the
    machine's own host name resolvable. One call does all of it, because each call takes longer than the work.
  - In a container it does not change settings of the computer's kernel.
  - Warns when the clock is not synchronised.
author: Metalworks
options:
  sysctls:
    description: Kernel parameters. A limit (C(fs.)) that is already higher stays.
    type: dict
    default: {}
  modules:
    description: Kernel modules.
    type: list
    elements: str
    default: []
  swap:
    description: V(keep) leaves swap alone; V(off) turns it off and keeps off what makes it at boot, which is
      C(/etc/fstab), units of systemd, zram-generator, dphys-swapfile, rpi-swap and the like. What is found in
      somebody's script is warned of.
    type: str
    default: keep
    choices: [keep, 'off']
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: Shows the sentences of what is done.
    support: full
  idempotent:
    description: Changes only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the machine
  node_settings:
    modules: [overlay, br_netfilter]
    sysctls:
      net.ipv4.ip_forward: 1
"""

RETURN = r"""
actions:
  description: What was done, as sentences.
  type: list
  elements: str
  returned: always
  sample: [Set net.ipv4.ip_forward to 1]
in_container:
  description: Whether the machine is a container.
  type: bool
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.run import runner
from ansible.module_utils.metalworks.node.settings import Wanted, apply, plan, read, warnings

ARGUMENTS: dict[str, Any] = {
    "sysctls": {"type": "dict", "default": {}},
    "modules": {"type": "list", "elements": "str", "default": []},
    "swap": {"type": "str", "default": "keep", "choices": ["keep", "off"]},
}
ROOT = Path("/")


def main() -> None:
    """Prepare the machine, and report the steps that were done or planned."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run = runner(module)
    sysctls = {name: " ".join(str(value).split()) for name, value in module.params["sysctls"].items()}
    wanted = Wanted(sysctls, module.params["modules"], module.params["swap"] == "off")
    found = read(run, wanted, ROOT)
    steps = plan(wanted, found)
    if not module.check_mode:
        try:
            apply(run, steps, ROOT)
        except (OSError, RuntimeError) as error:
            module.fail_json(msg=f"The machine could not be prepared. {error}")
    for sentence in warnings(wanted, found):
        module.warn(sentence)
    actions = [step.sentence for step in steps]
    module.exit_json(
        changed=bool(steps),
        actions=actions,
        in_container=found.in_container,
        diff={"before": "", "after": "".join(f"{sentence}\n" for sentence in actions)},
    )


if __name__ == "__main__":
    main()
