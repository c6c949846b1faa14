"""Plan the steps from the instance that exists to the one that is wanted.

Data is destroyed only if a parameter asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible.module_utils.metalworks.multipass.answers import (
    LOG,
    PASSING,
    Instance,
    mount_target,
    same_size,
    size_as_printed,
    size_in_bytes,
)
from ansible.module_utils.metalworks.multipass.cloud_config import problem

NAME = re.compile(r"[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")
SMALLEST = {"memory": "512M", "disk": "1G"}


class Refused(ValueError):
    """Nothing was changed; the message says what to write instead."""


@dataclass(frozen=True)
class Wanted:
    """The parameters of the module multipass_vm. Sizes are texts such as 4G; the timeout is in seconds."""

    name: str
    state: str = "started"
    cpus: int | None = None
    memory: str | None = None
    disk: str | None = None
    image: str | None = None
    cloud_init: str = ""
    mounts: Mapping[str, str] | None = None  # target -> source
    networks: Sequence[str] = field(default_factory=tuple)
    resize: str = "refuse"
    deleted: str = "refuse"
    adopt: bool = True
    purge: bool = False
    timeout: int = 600


@dataclass(frozen=True)
class Step:
    """One step: a sentence for people, and the arguments and standard input for multipass."""

    sentence: str
    command: tuple[str, ...]
    stdin: str = ""


def check(wanted: Wanted) -> None:
    """Raise Refused for values that multipass would refuse later, with a less clear message."""
    if not NAME.fullmatch(wanted.name):
        raise Refused(
            f"'{wanted.name}' is no name for an instance: use letters, digits and hyphens, begin with a "
            "letter, end with a letter or digit"
        )
    for setting, least in SMALLEST.items():
        text = getattr(wanted, setting)
        if text is None:
            continue
        try:
            size = size_in_bytes(text)
        except ValueError as error:
            raise Refused(f"{setting} of {wanted.name}: {error}") from error
        if size < size_in_bytes(least):
            raise Refused(f"{setting} of {wanted.name} is {text}; multipass takes {least} or more")
    if wanted.cpus is not None and wanted.cpus < 1:
        raise Refused(f"cpus of {wanted.name} is {wanted.cpus}; an instance has 1 or more")
    wrong = problem(wanted.cloud_init) if wanted.cloud_init else None
    if wrong:
        raise Refused(f"cloud_init of {wanted.name} {wrong}")


def plan(
    wanted: Wanted, found: Instance, *, has_bin: bool = True, host_memory: int | None = None
) -> list[Step]:
    """Return the steps in their order.

    None if all is as wanted. `host_memory` is this computer's, in bytes.
    """
    check(wanted)
    found = replace(found, state=PASSING.get(found.state, found.state))
    if wanted.state == "absent":
        return remove(wanted, found, has_bin=has_bin)
    if found.state != "absent" and not wanted.adopt:
        raise Refused(
            f"multipass already has an instance {found.name} ({found.state}), which was not made here. Give "
            "this machine another name, or set adopt: true when that instance is meant"
        )
    if found.state == "deleted":
        steps, found = take_back(wanted, found)
    else:
        steps = []
    if found.state == "absent":
        refuse_too_much_memory(wanted, host_memory)
        return [*steps, *launch(wanted)]
    refuse_what_cannot_change(wanted, found)
    changes = resize(wanted, found)
    if any(".memory=" in step.command[-1] for step in changes):
        refuse_too_much_memory(wanted, host_memory)
    steps += around_the_changes(wanted, found, changes)
    state = "stopped" if changes else found.state
    steps += mounts(wanted, found)
    return [*steps, *([] if state == "running" else [start(wanted.name)])]


def refuse_too_much_memory(wanted: Wanted, host_memory: int | None) -> None:
    """Refuse more memory than the computer has.

    Multipass would accept it, and the OOM killer would strike.
    """
    if wanted.memory is None or host_memory is None or size_in_bytes(wanted.memory) <= host_memory:
        return
    raise Refused(
        f"{wanted.name} is to have {wanted.memory} of memory, and this computer has "
        f"{size_as_printed(host_memory)} in all: give it less"
    )


def remove(wanted: Wanted, found: Instance, *, has_bin: bool) -> list[Step]:
    """Return the step that deletes an instance, recoverably or with its data."""
    if found.state == "absent" or (found.state == "deleted" and not wanted.purge):
        return []
    if not wanted.purge and not has_bin:
        raise Refused(
            f"this version of multipass has no bin: deleting {wanted.name} destroys its data. "
            "Set purge: true when that is meant"
        )
    if wanted.purge:
        return [Step(f"remove {wanted.name} with its data", ("delete", "--purge", wanted.name))]
    return [
        Step(
            f"delete {wanted.name} (`multipass recover {wanted.name}` brings it back)",
            ("delete", wanted.name),
        )
    ]


def take_back(wanted: Wanted, found: Instance) -> tuple[list[Step], Instance]:
    """Return the steps for a deleted instance, which still holds its name and data, and what is then left."""
    name = wanted.name
    if wanted.deleted == "recover":
        return [Step(f"recover {name}", ("recover", name))], replace(found, state="stopped")
    if wanted.deleted == "purge":
        return [Step(f"remove the deleted {name} with its data", ("delete", "--purge", name))], Instance(name)
    raise Refused(
        f"{name} is deleted but not purged: its data is still there, and so is its name. "
        f"Take it back with deleted: recover (or `multipass recover {name}`), or destroy it with deleted: "
        f"purge (or `multipass delete --purge {name}`)"
    )


def launch(wanted: Wanted) -> list[Step]:
    """Return the steps that make an instance and bring it into the wanted state."""
    command = ["launch", "--name", wanted.name]
    for option in ("cpus", "memory", "disk"):
        value = getattr(wanted, option)
        if value is not None:
            command += [f"--{option}", str(value)]
    for network in wanted.networks:
        command += ["--network", network]
    for target, source in sorted((wanted.mounts or {}).items()):
        command += ["--mount", f"{source}:{target}"]
    if wanted.cloud_init:
        # By standard input, because multipass as a snap cannot read files outside of the home folder.
        command += ["--cloud-init", "-"]
    command += ["--timeout", str(wanted.timeout)]
    command += [wanted.image] if wanted.image else []
    size = ", ".join(
        f"{getattr(wanted, key)} {key}"
        for key in ("cpus", "memory", "disk")
        if getattr(wanted, key) is not None
    )
    sentence = f"launch {wanted.name}" + (f" with {size}" if size else "")
    return [Step(sentence, tuple(command), wanted.cloud_init)]


def refuse_what_cannot_change(wanted: Wanted, found: Instance) -> None:
    """Refuse an instance that is lost or unavailable, or that was made from another image."""
    if found.state == "unknown":
        raise Refused(
            f"multipass calls the state of {found.name} Unknown, so nothing is changed. "
            f"`multipass stop --force {found.name}` and `multipass start {found.name}` often bring it back; "
            f"{LOG} tells why it was lost"
        )
    if found.state == "unavailable":
        raise Refused(
            f"{found.name} is Unavailable: its availability zone is disabled (`multipass zones`). It starts "
            "by itself after `multipass enable-zones`"
        )
    release = re.fullmatch(r"\d\d\.\d\d", wanted.image or "")
    if release and found.image and not found.image.startswith(release[0]):
        raise Refused(
            f"{found.name} was made from {found.image}, and an instance keeps its image. Write image: "
            f"'{found.image.split()[0]}', or remove the instance with its data first"
        )


def resize(wanted: Wanted, found: Instance) -> list[Step]:
    """Return the steps of `multipass set` for the sizes that differ."""
    name = wanted.name
    steps = []
    if wanted.cpus is not None and found.cpus is not None and wanted.cpus != found.cpus:
        sentence = f"give {name} {wanted.cpus} cpus instead of {found.cpus}"
        steps.append(Step(sentence, ("set", f"local.{name}.cpus={wanted.cpus}")))
    for setting, unit in (("memory", "of memory"), ("disk", "of disk")):
        new, old = getattr(wanted, setting), getattr(found, setting)
        if new is None or old is None or same_size(new, old):
            continue
        if setting == "disk" and size_in_bytes(new) < size_in_bytes(old):
            raise Refused(
                f"the disk of {name} has {old} and {new} is wanted: multipass can only make a disk larger. "
                f"Write {old.removesuffix('iB')} or more, or remove the instance with its data first"
            )
        shown = size_as_printed(size_in_bytes(new))
        steps.append(
            Step(f"give {name} {shown} {unit} instead of {old}", ("set", f"local.{name}.{setting}={new}"))
        )
    return [] if wanted.resize == "keep" else steps


def around_the_changes(wanted: Wanted, found: Instance, changes: list[Step]) -> list[Step]:
    """Add a stop before the changes: multipass changes the sizes of a stopped instance only."""
    if not changes or found.state == "stopped":
        return changes
    if wanted.resize != "restart":
        todo = "; ".join(step.sentence for step in changes)
        raise Refused(
            f"{found.name} is {found.state}, and multipass changes sizes of a stopped instance only "
            f"({todo}). Set resize: restart to have it stopped and started, resize: keep to leave its sizes, "
            "or stop it first"
        )
    # multipass stops what runs, and nothing else: a suspended instance has to run first.
    woken = [] if found.state == "running" else [start(found.name)]
    return [*woken, Step(f"stop {found.name}", ("stop", found.name)), *changes]


def mounts(wanted: Wanted, found: Instance) -> list[Step]:
    """Return the steps to exactly the wanted mounts; none if the parameter is not given."""
    if wanted.mounts is None:
        return []
    targets = {mount_target(target): source for target, source in wanted.mounts.items()}
    gone = [target for target, source in found.mounts.items() if targets.get(target) != source]
    new = [(target, source) for target, source in targets.items() if found.mounts.get(target) != source]
    return [
        *(
            Step(f"unmount {target} of {found.name}", ("unmount", f"{found.name}:{target}"))
            for target in sorted(gone)
        ),
        *(
            Step(f"mount {source} at {target} of {found.name}", ("mount", source, f"{found.name}:{target}"))
            for target, source in sorted(new)
        ),
    ]


def start(name: str) -> Step:
    """Return the step that starts an instance, or wakes it."""
    return Step(f"start {name}", ("start", name))
