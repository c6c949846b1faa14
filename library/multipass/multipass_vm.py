#!/usr/bin/python
"""A multipass instance has the wanted size and state."""

from __future__ import annotations

DOCUMENTATION = r"""
module: multipass_vm
short_description: Launch, size, start and remove a multipass instance
description:
  - Runs on the computer on which multipass is installed. Reads the instance, plans, and does only the steps
    that are missing.
  - Sizes can be changed only while an instance is stopped, and a disk can only grow. Image, cloud-init and
    networks count only when the instance is launched.
  - An instance in the state C(Deleted) is neither recovered nor purged unless O(deleted) asks for it.
  - After a start the module waits until the instance has an address and cloud-init has finished.
author: Metalworks
options:
  name:
    description: The instance's name.
    type: str
    required: true
  state:
    description:
      - V(started) launches a missing instance, and starts one that does not run.
      - V(absent) deletes the instance. It can still be recovered, unless O(purge) removes it with its data.
    type: str
    choices: [started, absent]
    default: started
  cpus:
    description: Number of processors.
    type: int
  memory:
    description: Size of the memory, like V(4G).
    type: str
  disk:
    description: Size of the disk, like V(20G).
    type: str
  image:
    description: An Ubuntu release, alias or URL, like V(24.04). Empty means multipass's default.
    type: str
  cloud_init:
    description: The user data for the first boot, as text. It is passed by standard input, because multipass
      as a snap cannot read every file. Put no secret into it; it stays readable in the instance.
    type: str
    default: ""
  mounts:
    description: Folders of this computer that are mounted in the instance. Other mounts are removed. Without
      this option mounts are not changed.
    type: list
    elements: dict
    suboptions:
      source:
        description: The folder on this computer.
        type: str
        required: true
      target:
        description: The folder in the instance; a relative path starts at C(/home/ubuntu).
        type: str
        required: true
  networks:
    description: Further networks, each in the form of C(multipass launch --network).
    type: list
    elements: str
    default: []
  resize:
    description: What to do if a running instance has other sizes. V(refuse) fails and names the difference,
      V(keep) changes no sizes, V(restart) stops the instance, changes the sizes and starts it again.
    type: str
    choices: [refuse, keep, restart]
    default: refuse
  deleted:
    description: What to do if a deleted instance has this name. V(purge) destroys its data and launches a
      new one.
    type: str
    choices: [refuse, recover, purge]
    default: refuse
  adopt:
    description: Whether an existing instance may be used. Otherwise it is refused in every state.
    type: bool
    default: true
  purge:
    description: Whether O(state=absent) destroys the instance's data.
    type: bool
    default: false
  wait:
    description: Whether to wait for cloud-init and an address.
    type: bool
    default: true
  timeout:
    description: How many seconds launch and first boot may take.
    type: int
    default: 600
  executable:
    description: The multipass command.
    type: str
    default: multipass
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: Shows state and sizes before and after.
    support: full
  idempotent:
    description: Does nothing when the instance is as wanted.
    support: full
"""

EXAMPLES = r"""
- name: A machine of the cluster
  multipass_vm:
    name: metal-1
    cpus: 2
    memory: 4G
    disk: 20G
    image: "24.04"
    cloud_init: |
      #cloud-config
      packages: [curl]
"""

RETURN = r"""
memory_bytes:
  description: The wanted memory in bytes; 0 if O(memory) is not given.
  type: int
  returned: always
host_memory_bytes:
  description: The memory of this computer in bytes; 0 if it cannot be read.
  type: int
  returned: always
actions:
  description: What was done, or in check mode would be done.
  type: list
  elements: str
  returned: always
  sample: [launch metal-1 with 2 cpus]
instance:
  description: The instance as multipass describes it afterwards, with C(state), C(ipv4), C(release), C(cpus),
    C(memory), C(disk) and C(mounts).
  type: dict
  returned: always
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.multipass.answers import (
    LOG,
    PASSING,
    Instance,
    Multipass,
    MultipassError,
    delete_command,
    explain,
    has_bin,
    read_info,
    read_setting,
    size_in_bytes,
)
from ansible.module_utils.metalworks.multipass.command import host_memory, runner
from ansible.module_utils.metalworks.multipass.plan import Refused, Step, Wanted, check, plan

ARGUMENTS = options_of(DOCUMENTATION)
POLL_SECONDS = 2
# multipass stops to wait with this message; the instance goes on booting.
STILL_BOOTING = "timed out waiting for"


def read(multipass: Multipass, wanted: Wanted) -> Instance:
    """Return the instance with the sizes that were ordered.

    `info` shows the smaller ones that the guest sees.
    """
    found = read_info(multipass, wanted.name)
    if found.state == "absent":
        return found
    given = {
        setting: read_setting(multipass, wanted.name, setting)
        for setting in ("cpus", "memory", "disk")
        if getattr(wanted, setting) is not None
    }
    cpus = given.get("cpus")
    return replace(
        found,
        cpus=int(cpus) if cpus else found.cpus,
        memory=given.get("memory"),
        disk=given.get("disk"),
    )


def poll(look: Callable[[], Any], seconds: float) -> Any:
    """Call `look` every second until it finds something or the time (seconds) is over; return its answer."""
    end = time.monotonic() + seconds
    while True:
        answer = look()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(POLL_SECONDS)


def settled(multipass: Multipass, wanted: Wanted) -> Instance:
    """Return the instance after it has left the states that end by themselves, such as Starting."""
    unsettled = {*PASSING, "unknown"}

    def look() -> Instance | None:
        found = read(multipass, wanted)
        return None if found.state in unsettled else found

    return poll(look, min(wanted.timeout, 60)) or read(multipass, wanted)


def take(multipass: Multipass, wanted: Wanted, step: Step) -> None:
    """Do one step. That launch or start gave up waiting for the boot is no error: the module waits itself."""
    command = list(step.command)
    if command[:2] == ["delete", "--purge"]:
        command = delete_command(multipass, wanted.name)
    code, out, err = multipass(command, step.stdin)
    if code != 0 and not (command[0] in ("launch", "start") and STILL_BOOTING in out + err):
        raise MultipassError(explain(f"Could not {step.sentence}", code, out, err))


def wait_until_booted(multipass: Multipass, wanted: Wanted) -> str:
    """Wait for an address, then for cloud-init. Return a warning, or an empty text."""
    end = time.monotonic() + wanted.timeout
    found = poll(lambda: read_info(multipass, wanted.name).ipv4, wanted.timeout)
    if not found:
        raise MultipassError(
            f"{wanted.name} has no address after {wanted.timeout} s. A VPN or firewall on this computer "
            f"often holds it back; `multipass info {wanted.name}` and {LOG} tell more"
        )
    status = poll(lambda: finished(multipass, wanted.name), end - time.monotonic())
    if not status:
        raise MultipassError(
            f"cloud-init of {wanted.name} has not finished after {wanted.timeout} s. Its end so far: "
            f"{last_words(multipass, wanted.name)}"
        )
    if status == "error":
        raise MultipassError(
            f"cloud-init of {wanted.name} failed. Its end: {last_words(multipass, wanted.name)}"
        )
    if status == "degraded":
        complaint = judgement(multipass, wanted.name)
        return f"cloud-init of {wanted.name} finished with errors that it recovered from: {complaint}"
    return ""


def finished(multipass: Multipass, name: str) -> str:
    """Return how cloud-init ended, or an empty text while it runs. Exit code 2 means recoverable errors."""
    code, out, _ = multipass(["exec", name, "--", "cloud-init", "status"], "")
    if "status: error" in out:
        return "error"
    if "status: done" in out or "status: disabled" in out:
        return "degraded" if code == 2 else "done"
    return ""


def last_words(multipass: Multipass, name: str) -> str:
    """Return the last 15 lines of cloud-init's output in the instance."""
    _, out, err = multipass(
        ["exec", name, "--", "sudo", "tail", "-n", "15", "/var/log/cloud-init-output.log"], ""
    )
    return (out or err).strip() or "nothing was written"


def judgement(multipass: Multipass, name: str) -> str:
    """Return what `cloud-init schema` says about the user data, or the end of the log if it says nothing."""
    code, out, err = multipass(["exec", name, "--", "sudo", "cloud-init", "schema", "--system"], "")
    return " ".join((err + out).split()) if code else last_words(multipass, name)


def describe(instance: Instance) -> str:
    """Return one side of the diff: a line for each value that is known."""
    shown = asdict(instance)
    keys = ("state", "cpus", "memory", "disk")
    return "".join(f"{key}: {shown[key]}\n" for key in keys if shown[key] is not None)


def expected(wanted: Wanted, found: Instance, steps: list[Step]) -> Instance:
    """Return the instance as it will be after the steps, for the diff."""
    if not steps:
        return found
    if wanted.state == "absent":
        return Instance(wanted.name, "absent" if wanted.purge else "deleted")
    keep = wanted.resize == "keep" and found.state not in ("absent", "deleted")
    sizes = (
        {}
        if keep
        else {
            key: getattr(wanted, key)
            for key in ("cpus", "memory", "disk")
            if getattr(wanted, key) is not None
        }
    )
    return replace(found, state="running", **sizes)


def wanted_from(params: dict[str, Any]) -> Wanted:
    """Return the wanted instance of the module's parameters; mounts become a mapping of target to source."""
    mounts = params["mounts"]
    kept = {key: params[key] for key in Wanted.__dataclass_fields__ if key != "mounts"}
    table = None if mounts is None else {mount["target"]: mount["source"] for mount in mounts}
    return Wanted(**{**kept, "mounts": table})


def main() -> None:
    """Bring one instance into the wanted state, and report the steps that were taken or planned."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = wanted_from(module.params)
    multipass = runner(module, module.params["executable"])
    try:
        check(wanted)
        found = settled(multipass, wanted)
        asks_for_bin = wanted.state == "absent" and not wanted.purge and found.state != "absent"
        steps = plan(
            wanted,
            found,
            has_bin=has_bin(multipass) if asks_for_bin else True,
            host_memory=host_memory(),
        )
        instance = expected(wanted, found, steps)
        if not module.check_mode:
            for step in steps:
                take(multipass, wanted, step)
            if module.params["wait"] and instance.state == "running":
                warning = wait_until_booted(multipass, wanted)
                if warning:
                    module.warn(warning)
            instance = read(multipass, wanted)
    except Refused as refusal:
        module.fail_json(msg=f"{refusal}.")
    except MultipassError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(steps),
        actions=[step.sentence for step in steps],
        instance=asdict(instance),
        memory_bytes=size_in_bytes(wanted.memory) if wanted.memory else 0,
        host_memory_bytes=host_memory() or 0,
        diff={"before": describe(found), "after": describe(expected(wanted, found, steps))},
    )


if __name__ == "__main__":
    main()
