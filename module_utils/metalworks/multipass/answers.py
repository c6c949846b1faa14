"""Read the output of the multipass command.

Sizes, instances, errors. Callers pass a function that runs it.
"""

from __future__ import annotations

import ipaddress
import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Arguments of multipass and what it reads on standard input -> exit code, output, error output.
Multipass = Callable[[list[str], str], tuple[int, str, str]]

NOT_FOUND = 127
HOME = "/home/ubuntu"  # a mount with a relative target is put here
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)
LOG = "multipass's log (Linux: `sudo snap logs multipass`; macOS: /Library/Logs/Multipass/multipassd.log)"
# Some versions print colours and a spinner of backspaces even if the output is no terminal.
DRAWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x08.")
# Some versions answer only this if one instance runs and has no address yet.
NO_ADDRESS = "IP not available"
# States that end by themselves, and the state that follows.
PASSING = {
    "starting": "running",
    "restarting": "running",
    "suspending": "suspended",
    "delayed shutdown": "stopped",
}


class MultipassError(RuntimeError):
    """multipass failed or refused; the message says why and what to do."""


@dataclass(frozen=True)
class Instance:
    """One instance as multipass describes it. Sizes are texts as multipass prints them, like 4.0GiB."""

    name: str
    state: str = "absent"
    ipv4: tuple[str, ...] = ()
    release: str = ""
    image: str = ""
    cpus: int | None = None
    memory: str | None = None
    disk: str | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)


def size_in_bytes(text: str) -> int:
    """Return a size in bytes, or raise ValueError.

    People write 4G, 512M or bytes; multipass prints 4.0GiB.
    """
    match = SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is no size: write a number with K, M or G, such as 4G or 512M")
    return int(float(match[1]) * UNITS[match[2].upper()])


def size_as_printed(size: int) -> str:
    """Return a size (bytes) as `multipass get` prints it: in the largest unit that fits, with one decimal."""
    for unit in "GMK":
        if size >= UNITS[unit]:
            return f"{size / UNITS[unit]:.1f}{unit}iB"
    return f"{size}B"


def same_size(one: str, other: str) -> bool:
    """Return whether two sizes print the same: multipass rounds, so more cannot be compared."""
    return size_as_printed(size_in_bytes(one)) == size_as_printed(size_in_bytes(other))


def mount_target(path: str) -> str:
    """Return a mount's target as multipass prints it later. Since 1.17 it has no slash at its end."""
    return posixpath.normpath(posixpath.join(HOME, path))


def parse_json(text: str) -> dict[str, Any] | None:
    """Return the JSON object in an answer. A notice about a new version may stand before it."""
    for start in re.finditer("{", text):
        try:
            found = json.JSONDecoder().raw_decode(text[start.start() :])[0]
        except ValueError:
            continue
        return found if isinstance(found, dict) else None
    return None


def _mapping(found: object) -> Mapping[str, Any]:
    """Return a mapping, also where multipass writes a word such as N/A in its place."""
    return found if isinstance(found, dict) else {}


def _number(found: object) -> int | None:
    """Return a number of digits, or None where something else stands in its place."""
    return int(str(found)) if str(found).isdecimal() else None


def addresses_from(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of one entry. A running instance without an address shows a word in its place.

    The word is "UNKNOWN" in version 1.5 and "N/A" since 1.6 (populate_instance_info of
    runtime_instance_info_helper.cpp in canonical/multipass): only what parses as an address is one.
    """
    found = entry.get("ipv4")
    texts = found if isinstance(found, list) else [found]
    return tuple(address for address in map(_usable_address, texts) if address)


def _usable_address(found: object) -> str:
    """Return an address at which a machine can be reached from here; empty if this is none."""
    try:
        address = ipaddress.ip_interface(str(found).strip()).ip
    except ValueError:
        return ""
    # A machine that got no answer from DHCP gives itself an address of its link.
    only_there = address.is_loopback or address.is_link_local or address.is_unspecified
    return "" if only_there or isinstance(found, int) else str(address)


def instance_from(name: str, entry: Mapping[str, Any]) -> Instance:
    """Return one entry of `list` or `info` of any version. Early versions write states in capital letters."""
    disk = _number(_mapping(_mapping(entry.get("disks")).get("sda1")).get("total"))
    release = str(entry.get("release") or "")
    return Instance(
        name=name,
        state=str(entry.get("state") or "unknown").lower(),
        ipv4=addresses_from(entry),
        release="" if release == "Not Available" else release,
        image=str(entry.get("image_release") or ""),
        cpus=_number(entry.get("cpu_count")) or None,
        disk=size_as_printed(disk) if disk else None,
        mounts={
            mount_target(target): str(_mapping(mount).get("source_path", ""))
            for target, mount in _mapping(entry.get("mounts")).items()
        },
    )


def explain(doing: str, code: int, out: str, err: str) -> str:
    """Return an error message: what failed, what multipass printed, and what to do about known causes."""
    output = " ".join(DRAWN.sub("", f"{err}\n{out}").split()) or f"exit code {code}, and not a word"
    if code == NOT_FOUND:
        return (
            f"{doing}: multipass is not installed on this computer. Linux: `sudo snap install "
            "multipass`; macOS: `brew install --cask multipass`."
        )
    if "cannot connect to the multipass socket" in output:
        return (
            f"{doing}: multipass's service does not answer. Start it (Linux: `sudo snap restart multipass`; "
            "macOS: `sudo launchctl kickstart -k system/com.canonical.multipassd`) and try again. "
            f"multipass says: {output}"
        )
    if "not authenticated" in output:
        return (
            f"{doing}: this account may not use multipass yet: run `multipass authenticate` once ({output})."
        )
    if re.search(r"source .*(does not exist|not readable|permission denied)", output, re.IGNORECASE):
        return (
            f"{doing}: multipass cannot read that folder. As a snap it sees what is below your home folder, "
            f"hidden folders excepted: choose a source there. multipass says: {output}"
        )
    return f"{doing}: {output}"


def ask(multipass: Multipass, doing: str, *arguments: str, stdin: str = "") -> str:
    """Run multipass and return its output; raise MultipassError if it fails."""
    code, out, err = multipass(list(arguments), stdin)
    if code != 0:
        raise MultipassError(explain(doing, code, out, err))
    return out


def read_version(multipass: Multipass) -> dict[str, str]:
    """Return the version of the command, and that of its service if it runs."""
    found = (
        parse_json(ask(multipass, "Asking multipass for its version", "version", "--format", "json")) or {}
    )
    return {key: str(found[key]) for key in ("multipass", "multipassd") if key in found}


def read_list(multipass: Multipass) -> list[Instance]:
    """Return all instances in multipass's order. An entry without a name is skipped."""
    code, out, err = multipass(["list", "--format", "json"], "")
    found = parse_json(out)
    if found is None or not isinstance(found.get("list"), list):
        raise MultipassError(explain("Listing the instances", code, out, err))
    entries = (entry for entry in found["list"] if isinstance(entry, dict) and entry.get("name"))
    return [instance_from(str(entry["name"]), entry) for entry in entries]


def read_info(multipass: Multipass, name: str) -> Instance:
    """Return one instance; its state is `absent` if there is none.

    The exit code does not matter if there is output.

    Some versions refuse to answer about an instance without an address. It is then reported as starting.
    """
    code, out, err = multipass(["info", name, "--format", "json"], "")
    entry = _mapping(_mapping((parse_json(out) or {}).get("info")).get(name))
    if entry:
        return instance_from(name, entry)
    if f'instance "{name}" does not exist' in err + out:
        return Instance(name)
    if NO_ADDRESS in err + out:
        return Instance(name, "starting")
    raise MultipassError(explain(f"Reading the instance {name}", code, out, err))


def read_setting(multipass: Multipass, name: str, setting: str) -> str | None:
    """Return a size as it was ordered, or None: versions before 1.10 cannot print it."""
    code, out, _ = multipass(["get", f"local.{name}.{setting}"], "")
    return out.strip() if code == 0 and out.strip() else None


def delete_command(multipass: Multipass, name: str) -> list[str]:
    """Return the arguments that remove an instance with its data.

    Newer versions keep no deleted instances, and ask for a confirmation unless they are forced.
    """
    _, out, err = multipass(["help", "delete"], "")
    flags = [flag for flag in ("--purge", "--force") if flag in out + err]
    return ["delete", *flags, name]


def has_bin(multipass: Multipass) -> bool:
    """Return whether this version can recover a deleted instance."""
    return "--purge" in "".join(multipass(["help", "delete"], "")[1:])


def choose_address(addresses: Sequence[str], within: Sequence[str], not_within: Sequence[str]) -> str | None:
    """Return the address at which an instance is reached, or None. multipass lists its own network first.

    The address must lie in one of the networks `within`, if any are given, and in none of `not_within`.
    ValueError names a text that is no network.
    """
    wanted, unwanted = _networks(within), _networks(not_within)
    found = [(text, ipaddress.ip_address(text)) for text in addresses]
    chosen = (
        text
        for text, address in found
        if (not wanted or any(address in network for network in wanted))
        and not any(address in network for network in unwanted)
    )
    return next(chosen, None)


def _networks(texts: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    # People write the address of a machine with the prefix of its network, too.
    return [ipaddress.ip_network(str(text).strip(), strict=False) for text in texts]
