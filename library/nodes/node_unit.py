#!/usr/bin/python
"""Keep a systemd unit running with the files that it needs, or take both away."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_unit
short_description: Run a systemd unit with its files
description:
  - Writes files, which may be the unit itself, then starts the unit and enables it. One call does all of it,
    because each call takes longer than the work.
  - Reloads systemd if it has not read the newest files of units, and restarts a unit if a file of it has
    changed.
  - If systemd refuses, the error shows the end of the unit's journal, without words of secret files.
author: Metalworks
options:
  unit:
    description: The unit that stays active, such as a service or a timer. It needs an C([Install]) section.
    type: str
    required: true
  state:
    description:
      - V(absent) stops and disables the unit and removes O(files). Folders stay.
      - If none of the files is there, the unit is taken for somebody else's and left alone.
    type: str
    default: present
    choices: [present, absent]
  files:
    description: What the unit needs. Folders above a file are made with mode 0755.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: Its whole text. Required if O(state=present).
        type: str
      mode:
        description: Its rights, as four octal digits.
        type: str
        default: '0644'
      owner:
        description: The name of its owner. Without it a file that is written belongs to root.
        type: str
      group:
        description: The name of its group. Without it a file that is written belongs to root's.
        type: str
      secret:
        description: Whether no output may show the content.
        type: bool
        default: false
  folders:
    description: Folders that have to be there with mode 0755.
    type: list
    elements: path
    default: []
  needs:
    description: A file, such as a program, without which nothing is done. RV(missing) then says so.
    type: path
  restart:
    description: Whether the unit is restarted if one of its files has changed.
    type: bool
    default: true
attributes:
  check_mode:
    description: Says what would be done, also on a machine that has no such unit yet.
    support: full
  diff_mode:
    description: Shows the change of the files, except of secret ones, and the sentences of what is done.
    support: full
  idempotent:
    description: Changes only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Clean up every hour
  node_unit:
    unit: cleaning.timer
    files:
      - path: /usr/local/lib/cleaning/clean.py
        content: "{{ lookup('ansible.builtin.file', 'clean.py', rstrip=false) }}"
        mode: "0755"
      - path: /etc/systemd/system/cleaning.service
        content: "{{ lookup('ansible.builtin.template', 'cleaning.service.j2') }}"
      - path: /etc/systemd/system/cleaning.timer
        content: "{{ lookup('ansible.builtin.file', 'cleaning.timer', rstrip=false) }}"
"""

RETURN = r"""
actions:
  description: What was done, as sentences.
  type: list
  elements: str
  returned: always
  sample: [Write /etc/systemd/system/cleaning.timer, Reload systemd, Restart cleaning.timer]
missing:
  description: Whether the file that O(needs) names is missing, so that nothing was done.
  type: bool
  returned: always
"""

import grp
import pwd
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.files import (
    ABSENT,
    File,
    displayable,
    is_as_wanted,
    make_folder,
    put_file,
    read_file,
)
from ansible.module_utils.metalworks.common.run import Run, runner
from ansible.module_utils.metalworks.common.systemd import Unit, read_journal, read_unit

ARGUMENTS: dict[str, Any] = {
    "unit": {"type": "str", "required": True},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "mode": {"type": "str", "default": "0644"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "secret": {"type": "bool", "default": False},
        },
    },
    "folders": {"type": "list", "elements": "path", "default": []},
    "needs": {"type": "path"},
    "restart": {"type": "bool", "default": True},
}
UNITS = Path("/etc/systemd/system")
FOLDER_MODE = 0o755
NOBODY = -1  # stands for an owner or group that does not exist
JOURNAL_LINES = 20
# Where a program may cut a setting that it prints, such as a URL. Parts that are shorter are no secrets.
CUTS = re.compile(r"[\s\"'=:/@?&,;#]+")
SHORTEST_SECRET = 4
NO_SETTING = re.compile(r"\s*([#;]|\[\w+\]\s*$)")


@dataclass(frozen=True)
class Wanted:
    """A unit and what it needs. If it is not to be present, its files have no texts."""

    unit: str
    files: Mapping[Path, File] = field(default_factory=dict)
    folders: Sequence[Path] = ()
    secret: frozenset[Path] = frozenset()
    present: bool = True
    restart: bool = True


@dataclass(frozen=True)
class Found:
    """The same on the machine. The mode of a folder that does not exist is None."""

    unit: Unit
    files: Mapping[Path, File] = field(default_factory=dict)
    folders: Mapping[Path, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step: put or remove a file, make a folder, or run a program."""

    sentence: str
    file: Path | None = None
    folder: Path | None = None
    command: Sequence[str] = ()


def read(run: Run, wanted: Wanted) -> Found:
    """Return what the machine has."""
    return Found(
        unit=read_unit(run, wanted.unit),
        files={path: read_file(path) for path in wanted.files},
        folders={path: path.stat().st_mode & 0o7777 if path.is_dir() else None for path in wanted.folders},
    )


def plan(wanted: Wanted, found: Found) -> list[Step]:
    """Return all steps in their order. Nothing is read or changed here, so tables test it."""
    return list(_steps_to_run(wanted, found) if wanted.present else _steps_away(wanted, found))


def _steps_to_run(wanted: Wanted, found: Found) -> Iterator[Step]:
    for path in wanted.folders:
        if found.folders[path] != FOLDER_MODE:
            yield Step(f"Make the folder {path}", folder=path)
    differing = [path for path, file in wanted.files.items() if not is_as_wanted(found.files[path], file)]
    for path in differing:
        yield Step(f"Write {path}", file=path)
    # A run that was interrupted may have written files that systemd has not read.
    if found.unit.outdated or _belong_to_units(differing):
        yield _systemctl("Reload systemd", "daemon-reload")
    if not _is_up(found.unit):
        yield _systemctl(f"Start {wanted.unit}", "start", wanted.unit)
    elif wanted.restart and (found.unit.outdated or differing):
        yield _systemctl(f"Restart {wanted.unit}", "restart", wanted.unit)
    # Last, so that a unit that cannot be enabled has its new files all the same.
    if not found.unit.enabled:
        yield _systemctl(f"Enable {wanted.unit}", "enable", wanted.unit)


def _steps_away(wanted: Wanted, found: Found) -> Iterator[Step]:
    there = [path for path, file in found.files.items() if file != ABSENT]
    if not there:
        return
    if _is_up(found.unit):
        yield _systemctl(f"Stop {wanted.unit}", "stop", wanted.unit)
    if found.unit.enabled:
        yield _systemctl(f"Disable {wanted.unit}", "disable", wanted.unit)
    for path in there:
        yield Step(f"Remove {path}", file=path)
    if _belong_to_units(there):
        yield _systemctl("Reload systemd", "daemon-reload")


def _is_up(unit: Unit) -> bool:
    """Return whether the unit runs. One that waits until it is started again (Restart=) does, too."""
    return bool(unit.running or unit.starting)


def _belong_to_units(paths: Iterable[Path]) -> bool:
    return any(UNITS in path.parents for path in paths)


def _systemctl(sentence: str, *arguments: str) -> Step:
    return Step(sentence, command=("systemctl", *arguments))


def apply(run: Run, wanted: Wanted, found: Found, steps: Sequence[Step]) -> None:
    """Do the steps; OSError or RuntimeError if one fails."""
    for step in steps:
        if step.folder:
            make_folder(step.folder)
            step.folder.chmod(FOLDER_MODE)
        elif step.file:
            put_file(step.file, wanted.files[step.file])
        else:
            code, _, error = run(list(step.command))
            if code:
                told = f"{' '.join(step.command)} failed: {error.strip()}"
                raise RuntimeError("\n".join([told, *last_words(run, wanted, found)]))


def last_words(run: Run, wanted: Wanted, found: Found) -> list[str]:
    """Return the end of the unit's journal, without secrets of today's and former files."""
    secrets = [files[path].text or "" for files in (wanted.files, found.files) for path in wanted.secret]
    lines = read_journal(run, found.unit, JOURNAL_LINES)
    said = [f"  {without_secrets(line, secrets)}" for line in lines]
    return [f"The journal of {wanted.unit} ends with:", *said] if said else []


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a program's words without those that hold a part of a secret text."""
    parts: set[str] = set()
    for secret in secrets:
        settings = "\n".join(line for line in secret.splitlines() if not NO_SETTING.match(line))
        parts.update(CUTS.split(settings))
    parts = {part for part in parts | set(map(unquote, parts)) if len(part.strip()) >= SHORTEST_SECRET}
    either = "|".join(map(re.escape, parts))
    # The part upload of a URL is not the one in systemd-journal-upload.
    word = rf"\S*(?<![\w-])(?:{either})(?![\w-])\S*"
    return re.sub(word, "<secret>", text) if parts else text


def diff(wanted: Wanted, found: Found, steps: Sequence[Step]) -> list[dict[str, str]]:
    """Return the module's diff: each file that changes, and all sentences."""
    shown = []
    for path in [step.file for step in steps if step.file]:
        before, after = found.files[path].text or "", wanted.files[path].text or ""
        if path in wanted.secret:
            before, after = before and "(a secret content)\n", after and "(a new secret content)\n"
        shown.append((str(path), displayable(before), after))
    shown.append((wanted.unit, "", "".join(f"{step.sentence}\n" for step in steps)))
    return [
        {"before_header": name, "after_header": name, "before": before, "after": after}
        for name, before, after in shown
    ]


def wanted_of(module: AnsibleModule) -> Wanted:
    """Return what the parameters ask for, or fail with what is wrong with them."""
    params = module.params
    present = params["state"] == "present"
    return Wanted(
        unit=params["unit"],
        files={
            Path(file["path"]): wanted_file(module, file) if present else ABSENT for file in params["files"]
        },
        folders=[Path(folder) for folder in params["folders"]],
        secret=frozenset(Path(file["path"]) for file in params["files"] if file["secret"]),
        present=present,
        restart=params["restart"],
    )


def wanted_file(module: AnsibleModule, file: dict[str, Any]) -> File:
    """Return one wanted file.

    In check mode its owner or group may be missing: the package that brings them is not installed then.
    """
    path, mode = file["path"], file["mode"]
    if file["content"] is None:
        module.fail_json(msg=f"The file {path} has no content. Write `content`, or `state: absent`.")
    if not re.fullmatch(r"0[0-7]{3}", mode):
        module.fail_json(msg=f'The mode {mode} of {path} is not four octal digits in quotes, such as "0644".')
    owner, group = _number(pwd.getpwnam, file["owner"]), _number(grp.getgrnam, file["group"])
    for name, number in ((file["owner"], owner), (file["group"], group)):
        if number == NOBODY and not module.check_mode:
            module.fail_json(msg=f"{path} is to belong to {name}, which this machine does not know.")
    return File(file["content"], int(mode, 8), owner, group)


def _number(find: Callable[[str], Sequence[Any]], name: str | None) -> int | None:
    """Return the number of a user or group, which is the third field of both."""
    try:
        return None if name is None else int(find(name)[2])
    except KeyError:
        return NOBODY


def main() -> None:
    """Bring the unit to the wanted state, and report the steps that were done or planned."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    secrets = {file["content"] for file in module.params["files"] if file["secret"] and file["content"]}
    module.no_log_values.update(secrets)
    needs = module.params["needs"]
    if needs and not Path(needs).exists():
        module.exit_json(changed=False, actions=[], missing=True)
    wanted, run = wanted_of(module), runner(module)
    try:
        found = read(run, wanted)
    except OSError as error:
        module.fail_json(msg=f"The files of {wanted.unit} cannot be read. {error}")
    steps = plan(wanted, found)
    if not module.check_mode:
        try:
            apply(run, wanted, found, steps)
        except (OSError, RuntimeError) as error:
            module.fail_json(msg=f"{wanted.unit} is not as wanted. {error}")
    module.exit_json(
        changed=bool(steps),
        actions=[step.sentence for step in steps],
        missing=False,
        diff=diff(wanted, found, steps),
    )


if __name__ == "__main__":
    main()
