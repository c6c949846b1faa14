"""The format of multipass's output, and the wording of its error messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from lab.multipass import sizes
from lab.multipass.records import Record

VERSION = "1.16.1"
IMAGE_HASH = "0" * 64  # a constant: the stand-in has no image
NO_ADDRESS = "N/A"
COMMAND_LINE_ERROR, COMMAND_FAIL, DAEMON_FAIL = 1, 2, 3


class Failure(Exception):
    """The command fails with this message and exit code."""

    def __init__(self, message: str, code: int = COMMAND_FAIL) -> None:
        """Keep multipass's message and its exit code (return_codes.h of canonical/multipass)."""
        super().__init__(message)
        self.code = code


def to_json(answer: dict[str, Any]) -> str:
    """Print as multipass does: four spaces of indentation, keys in the order of the alphabet (Qt's JSON)."""
    return json.dumps(answer, indent=4, sort_keys=True) + "\n"


def release(record: Record, state: str) -> str:
    """Return the column `Image` of `list`: a release, which is known of running instances only."""
    return f"Ubuntu {record.image}" if state == "Running" else "Not Available"


def addresses(record: Record, state: str) -> list[str]:
    """Return the address of a running instance, or "N/A" (add_ipv4 in multipass's daemon.cpp)."""
    if state != "Running":
        return []
    return [record.address or NO_ADDRESS]


def list_answer(instances: Iterable[tuple[Record, str]]) -> dict[str, Any]:
    """Return the answer to `list --format json` for instances with their states."""
    return {
        "list": [
            {
                "ipv4": addresses(record, state),
                "name": record.name,
                "release": release(record, state),
                "state": state,
            }
            for record, state in instances
        ]
    }


def info_answer(instances: Iterable[tuple[Record, str]]) -> dict[str, Any]:
    """Return the answer to `info --format json` for instances with their states."""
    return {"errors": [], "info": {record.name: details(record, state) for record, state in instances}}


def details(record: Record, state: str) -> dict[str, Any]:
    """Return what `info` tells of one instance.

    Sizes are bytes: of the disk as text, of the memory as a number.
    """
    running = state == "Running"
    return {
        "cpu_count": str(record.cpus) if running else "",
        "disks": {"sda1": {"total": str(record.disk), "used": "0"} if running else {}},
        "image_hash": IMAGE_HASH,
        "image_release": record.image,
        "ipv4": addresses(record, state),
        "load": [0.0, 0.0, 0.0] if running else [],
        "memory": {"total": record.memory, "used": 0} if running else {},
        "mounts": {
            target: {"gid_mappings": [], "source_path": source, "uid_mappings": []}
            for target, source in record.mounts.items()
        },
        "release": f"Ubuntu {record.image}" if running else "",
        "snapshot_count": "0",
        "state": state,
    }


def list_table(instances: list[tuple[Record, str]]) -> str:
    """Return what `list` prints for people, with one line for each instance."""
    if not instances:
        return "No instances found.\n"
    rows = [("Name", "State", "IPv4", "Image")]
    rows += [
        (record.name, state, next(iter(addresses(record, state)), "--"), release(record, state))
        for record, state in instances
    ]
    return "".join(f"{name:<24}{state:<18}{address:<17}{image}\n" for name, state, address, image in rows)


def info_table(instances: list[tuple[Record, str]]) -> str:
    """Return what `info` prints for people, with one block for each instance."""
    blocks = []
    for record, state in instances:
        lines = {
            "Name": record.name,
            "State": state,
            "IPv4": ", ".join(addresses(record, state)) or "--",
            "Release": release(record, state),
            "CPU(s)": str(record.cpus),
            "Disk usage": f"-- out of {sizes.show(record.disk)}",
            "Memory usage": f"-- out of {sizes.show(record.memory)}",
        }
        blocks.append("".join(f"{key + ':':<16}{value}\n" for key, value in lines.items()))
    return "\n".join(blocks)


def missing(name: str) -> str:
    """Return multipass's sentence about an instance that does not exist."""
    return f'instance "{name}" does not exist'


def settings_refusal(name: str, reason: str) -> str:
    """Return multipass's sentence about an instance whose settings cannot be changed now."""
    return f"Cannot update instance settings; instance: {name}; reason: {reason}"


def invalid_setting(key: str, value: str, reason: str) -> str:
    """Return multipass's sentence about a value that a setting cannot take."""
    return f"Invalid setting '{key}={value}': {reason}"
