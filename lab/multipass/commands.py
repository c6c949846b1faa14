"""The commands of multipass. CONTRACT.md names the page of its documentation for each."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from lab.multipass import answers, cloud_init, machines, records, sizes
from lab.multipass.answers import COMMAND_LINE_ERROR, Failure
from lab.multipass.records import Record

NAME = re.compile(r"[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")
KEY = re.compile(r"local\.(?P<name>[^.]+)\.(?P<property>cpus|memory|disk)")
LEAST = {"memory": sizes.parse("512M"), "disk": sizes.parse("1G")}
IMAGES = {"": "24.04 LTS", "lts": "24.04 LTS", "noble": "24.04 LTS", "jammy": "22.04 LTS"}
RELEASE = re.compile(r"\d\d\.\d\d")
NAMES_OF_SEVERAL = {"start", "stop", "suspend", "delete", "recover"}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors have multipass's exit code."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Refuse wrong words. argparse itself would print its own usage and exit with 2."""
        raise Failure(message, COMMAND_LINE_ERROR)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors read `<command> failed: <reason>`."""
    words = list(arguments)
    command = words[0] if words else ""
    if command not in COMMANDS:
        print(f"multipass: '{command}' is not a multipass command. See 'multipass help'.", file=sys.stderr)
        return COMMAND_LINE_ERROR
    try:
        return COMMANDS[command](words[1:])
    except Failure as failure:
        prefix = "" if failure.code == COMMAND_LINE_ERROR else f"{command} failed: "
        print(f"{prefix}{failure}", file=sys.stderr)
        return failure.code


# Finding instances.


def existing() -> dict[str, tuple[Record, str]]:
    """Return all instances by name, each with its state."""
    running = machines.states()
    return {
        name: (record, "Deleted" if record.deleted else running.get(name, "Unknown"))
        for name, record in records.read_all(records.state_folder()).items()
    }


def pick(names: Sequence[str]) -> list[tuple[Record, str]]:
    """Return the named instances; one error lists all that do not exist."""
    found = existing()
    gone = [answers.missing(name) for name in names if name not in found]
    if gone:
        raise Failure("\n".join(gone))
    return [found[name] for name in names]


def pick_one(name: str) -> tuple[Record, str]:
    """Return the named instance and its state; refuse a name that does not exist."""
    return pick([name])[0]


# Reading.


def shown(instances: Sequence[tuple[Record, str]]) -> list[tuple[Record, str]]:
    """Return the instances as `list` and `info` show them: without an address if they have no network."""
    lost = machines.without_network()
    return [
        (replace(record, address="") if record.name in lost else record, state) for record, state in instances
    ]


def version(words: list[str]) -> int:
    """Print the versions of the command and of its service, which are one program here."""
    parser = Parser(prog="multipass version")
    parser.add_argument("--format", default="table")
    if parser.parse_args(words).format == "json":
        print(answers.to_json({"multipass": answers.VERSION, "multipassd": answers.VERSION}), end="")
    else:
        print(f"multipass   {answers.VERSION}\nmultipassd  {answers.VERSION}")
    return 0


def list_(words: list[str]) -> int:
    """Print all instances with state, address and image."""
    parser = Parser(prog="multipass list")
    parser.add_argument("--format", default="table", choices=["table", "json"])
    asked = parser.parse_args(words)
    found = shown(list(existing().values()))
    table = asked.format == "table"
    print(answers.list_table(found) if table else answers.to_json(answers.list_answer(found)), end="")
    return 0


def info(words: list[str]) -> int:
    """Print the details of the named instances, or of all."""
    parser = Parser(prog="multipass info")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--format", default="table", choices=["table", "json"])
    asked = parser.parse_args(words)
    found = shown(pick(asked.names or list(existing())))
    table = asked.format == "table"
    print(answers.info_table(found) if table else answers.to_json(answers.info_answer(found)), end="")
    return 0


def get(words: list[str]) -> int:
    """Print one setting: `local.driver`, or cpus, memory or disk of an instance."""
    parser = Parser(prog="multipass get")
    parser.add_argument("key")
    parser.add_argument("--raw", action="store_true")
    key = parser.parse_args(words).key
    if key == "local.driver":
        print("qemu")
        return 0
    name, setting = parse_key(key)
    found = existing()
    if name not in found:
        raise Failure(f"Cannot obtain instance settings; instance: {name}; reason: No such instance")
    value = getattr(found[name][0], setting)
    print(value if setting == "cpus" else sizes.show(value))
    return 0


def parse_key(key: str) -> tuple[str, str]:
    """Return instance and setting of a key such as `local.NAME.cpus`."""
    match = KEY.fullmatch(key)
    if not match:
        raise Failure(f"Unrecognized settings key: '{key}'", COMMAND_LINE_ERROR)
    return match["name"], match["property"]


def help_(words: list[str]) -> int:
    """Print the commands.

    The help of `delete` lists its options, from which callers learn whether it can purge.
    """
    if words == ["delete"]:
        print("Usage: multipass delete [options] <instance> [<instance> ...]\nDelete instances\n\nOptions:")
        print("  --all        Delete all instances\n  -p, --purge  Permanently delete specified instances")
    else:
        print(f"Usage: multipass [options] <command>\n\nAvailable commands:\n  {' '.join(sorted(COMMANDS))}")
    return 0


# Launching.


def launch(words: list[str]) -> int:
    """Make an instance, start it and run its cloud-init."""
    parser = Parser(prog="multipass launch")
    parser.add_argument("image", nargs="?", default="")
    parser.add_argument("-n", "--name", required=True)
    parser.add_argument("-c", "--cpus", type=int, default=1)
    parser.add_argument("-m", "--memory", default="1G")
    parser.add_argument("-d", "--disk", default="5G")
    parser.add_argument("--cloud-init", default="")
    parser.add_argument("--network", action="append", default=[])
    parser.add_argument("--mount", action="append", default=[])
    parser.add_argument("--timeout", type=int, default=300)
    asked = parser.parse_args(words)
    if not NAME.fullmatch(asked.name):
        raise Failure(f"Invalid instance name supplied: {asked.name}")
    if asked.network:
        raise Failure("Networking is not supported by the lab's stand-in: leave --network out")
    data = user_data(asked.cloud_init)
    record = register(asked)
    try:
        machines.create(record, machines.node_image())
        machines.inside(asked.name, cloud_init.script(data, name=asked.name))
    except BaseException:
        # A failed launch must free the name again.
        discard(record)
        raise
    print(f"Launched: {asked.name}")
    return 0


def user_data(path: str) -> dict[str, Any]:
    """Return the user data of a file, or of standard input (`-`), as a mapping."""
    try:
        return cloud_init.parse(read_user_data(path))
    except cloud_init.UserDataError as error:
        raise Failure(str(error)) from error


def read_user_data(path: str) -> str:
    """Return the text of a file, or of standard input if the path is `-`."""
    if path in ("", "-"):
        return sys.stdin.read() if path else ""
    if not Path(path).is_file():
        raise Failure(f"cannot read cloud-init file: {path}", COMMAND_LINE_ERROR)
    return Path(path).read_text()


def register(asked: argparse.Namespace) -> Record:
    """Reserve name and address, under the lock."""
    folder = records.state_folder()
    image = IMAGES.get(asked.image, f"{asked.image} LTS" if RELEASE.fullmatch(asked.image) else "")
    if not image:
        raise Failure(f'Unable to find an image matching "{asked.image}"')
    sizes = {setting: read_size(setting, getattr(asked, setting)) for setting in LEAST}
    machines.states()  # fails if Docker does not answer, before the name is reserved
    with records.locked(folder):
        known = records.read_all(folder)
        if asked.name in known:
            raise Failure(f'instance "{asked.name}" already exists')
        machines.make_network()
        address = machines.free_address(record.address for record in known.values())
        mounts = dict(reversed(spec.split(":", 1)) for spec in asked.mount)
        targets = {in_home(target): source for target, source in mounts.items()}
        record = Record(
            asked.name, image, address, asked.cpus, sizes["memory"], sizes["disk"], mounts=targets
        )
        records.write(folder, record)
    return record


def in_home(path: str) -> str:
    """Return an absolute path in the instance; a relative one starts at the default user's home."""
    return str(PurePosixPath("/home/ubuntu", path))


def read_size(setting: str, text: str) -> int:
    """Return a size in bytes; refuse one that is no size or is below multipass's minimum."""
    try:
        size = sizes.parse(text)
    except ValueError:
        size = 0
    if size < LEAST[setting]:
        raise Failure(f"Invalid {setting} size supplied: {text}.")
    return size


# Changing.


def set_(words: list[str]) -> int:
    """Change one setting of a stopped instance."""
    if len(words) != 1 or "=" not in words[0]:
        raise Failure("Need exactly one key-value pair (in <key>=<value> form).", COMMAND_LINE_ERROR)
    key, _, value = words[0].partition("=")
    name, setting = parse_key(key)
    found = existing()
    if name not in found:
        raise Failure(answers.settings_refusal(name, "No such instance"))
    record, state = found[name]
    if state == "Deleted":
        raise Failure(answers.settings_refusal(name, "Instance is deleted"))
    if state != "Stopped":
        raise Failure(answers.settings_refusal(name, "Instance must be stopped for modification"))
    setattr(record, setting, new_value(record, setting, key, value))
    machines.resize(record)
    records.write(records.state_folder(), record)
    return 0


def new_value(record: Record, setting: str, key: str, value: str) -> int:
    """Return a setting's new value (processors or bytes); refuse what multipass would refuse."""

    def refuse(reason: str) -> Failure:
        return Failure(answers.invalid_setting(key, value, reason), COMMAND_LINE_ERROR)

    if setting == "cpus":
        if not value.isdigit() or int(value) < 1:
            raise refuse("Need a positive integer (in decimal format) of minimum 1")
        return int(value)
    try:
        size = sizes.parse(value)
    except ValueError:
        raise refuse(f"{value} is not a valid memory size") from None
    if setting == "memory" and size < LEAST["memory"]:
        raise refuse("Memory less than 512M minimum not allowed")
    if setting == "disk" and size < record.disk:
        raise refuse("Disk can only be expanded")
    return size


def of_several(verb: str) -> Callable[[list[str]], int]:
    """Return the command `verb` (start, stop, suspend, delete, recover): all take names or --all."""

    def command(words: list[str]) -> int:
        parser = Parser(prog=f"multipass {verb}")
        parser.add_argument("names", nargs="*")
        parser.add_argument("--all", action="store_true")
        if verb == "delete":
            parser.add_argument("-p", "--purge", action="store_true")
        if verb == "stop":
            parser.add_argument("--force", action="store_true")
        if verb == "start":
            parser.add_argument("--timeout", type=int)
        asked = parser.parse_args(words)
        if not asked.names and not asked.all:
            raise Failure("Name argument or --all is required", COMMAND_LINE_ERROR)
        for record, state in pick(asked.names or list(existing())):
            change(verb, record, state, purge=getattr(asked, "purge", False))
        return 0

    return command


def change(verb: str, record: Record, state: str, *, purge: bool) -> None:
    """Change one instance; one that is in the wanted state already is left alone."""
    name = record.name
    if state == "Deleted" and verb not in ("delete", "recover"):
        raise Failure(f'instance "{name}" is deleted')
    if verb == "start" and state != "Running":
        machines.start(name, state)
    elif verb == "stop" and state == "Running":
        machines.stop(name)
    elif verb == "suspend" and state == "Running":
        machines.suspend(name)
    elif verb == "recover" and state == "Deleted":
        record.deleted = False
        records.write(records.state_folder(), record)
    elif verb == "delete":
        delete(record, state, purge=purge)


def delete(record: Record, state: str, *, purge: bool) -> None:
    """Stop the instance and keep it as deleted with its data, or remove it at once."""
    if purge:
        discard(record)
        return
    if state == "Suspended":
        machines.start(record.name, state)
    if state in ("Running", "Suspended"):
        machines.stop(record.name)
    record.deleted = True
    records.write(records.state_folder(), record)


def discard(record: Record) -> None:
    """Remove an instance with its data, and the network with the last one."""
    folder = records.state_folder()
    machines.remove(record.name)
    with records.locked(folder):
        records.forget(folder, record.name)
        if not records.read_all(folder):
            machines.remove_network()


def purge(words: list[str]) -> int:
    """Remove all deleted instances with their data."""
    Parser(prog="multipass purge").parse_args(words)
    for record, state in existing().values():
        if state == "Deleted":
            discard(record)
    return 0


# Commands and files inside of an instance.


def exec_(words: list[str]) -> int:
    """Run a command in an instance, and return the command's exit code."""
    before, command = split_command(words)
    parser = Parser(prog="multipass exec")
    parser.add_argument("name")
    parser.add_argument("-d", "--working-directory")
    parser.add_argument("-n", "--no-map-working-directory", action="store_true")
    asked = parser.parse_args(before)
    record, state = pick_one(asked.name)
    if state == "Deleted":
        raise Failure(f'instance "{record.name}" is deleted')
    if state != "Running":
        raise Failure(f'instance "{record.name}" is not running')
    return machines.execute(record.name, command, asked.working_directory)


def split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """Return multipass's own arguments and the command for the instance. `--` may stand between them."""
    if "--" in words:
        at = words.index("--")
        before, command = words[:at], words[at + 1 :]
    else:
        before, command = words[:1], words[1:]
    if not before or not command:
        raise Failure("Wrong number of arguments", COMMAND_LINE_ERROR)
    return before, command


def transfer(words: list[str]) -> int:
    """Copy files into an instance or out of it. Files that go in belong to the default user afterwards."""
    parser = Parser(prog="multipass transfer")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("-r", "--recursive", action="store_true")
    parser.add_argument("-p", "--parents", action="store_true")
    *sources, target = parser.parse_args(words).paths
    if not sources:
        raise Failure("Not enough arguments given", COMMAND_LINE_ERROR)
    for source in sources:
        machines.copy(container_path(source), container_path(target))
        if ":" in target:
            name, _, path = target.partition(":")
            machines.inside(name, f"chown -R ubuntu: {shlex.quote(in_home(path))}\n")
    return 0


def container_path(path: str) -> str:
    """Return `vm:file` in the form of `docker cp`; a relative path starts at the default user's home."""
    name, colon, inside = path.partition(":")
    if not colon:
        return path
    record, state = pick_one(name)
    if state != "Running":
        raise Failure(f'instance "{record.name}" is not running')
    return f"{machines.container(name)}:{in_home(inside)}"


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "version": version,
    "list": list_,
    "ls": list_,
    "info": info,
    "get": get,
    "set": set_,
    "launch": launch,
    "purge": purge,
    "exec": exec_,
    "transfer": transfer,
    "help": help_,
    **{verb: of_several(verb) for verb in NAMES_OF_SEVERAL},
}
