"""Write the configuration file of k3s, and decide whether the running k3s has to be restarted.

The unit records at each start what it starts with (unit.py). The lines of the record are
`binary <path> <size>-<mtime>` and, as sha256sum prints them, `<sha256>  <path>`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.common.files import read_others_text, read_text, sha256
from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.common.systemd import Unit
from ansible.module_utils.metalworks.k3s.keys import KEYS, SECRETS
from ansible.module_utils.metalworks.k3s.types import typed
from ansible.module_utils.metalworks.k3s.unit import BINARY, HEADER, drop_ins

MASK = "********"
# A scalar of YAML in double or single quotes, perhaps with a comment behind it.
QUOTED = re.compile(r"""(?:("(?:[^"\\]|\\.)*")|'((?:[^']|'')*)')\s*(?:#.*)?\Z""")
# What stands behind a key whose value is below: nothing or the sign of a block, perhaps with a comment.
BEFORE_LINES = re.compile(r"(?:[|>][-+]?)?\s*(?:#.*)?\Z")
YAML_NULL = ("", "~", "null")
YAML_FLAGS = {**dict.fromkeys(("y", "yes", "on"), True), **dict.fromkeys(("n", "no", "off"), False)}
# The keys with which k3s encrypts Secrets, if it does (pkg/daemons/control/deps: a file with a size).
ENCRYPTION = Path("server/cred/encryption-config.json")


@dataclass(frozen=True)
class Start:
    """Everything that a k3s process was, or would be, started with.

    The binary, and files with their hashes.
    """

    binary: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def render(config: Mapping[str, Any]) -> str:
    """Return the file's text.

    The values are JSON, which is YAML too, so the machine needs no YAML library.
    """
    lines = [HEADER]
    for name in sorted(config):
        value = config[name]
        if isinstance(value, (list, tuple)):
            lines.append(f"{name}:{'' if value else ' []'}\n")
            lines += [f"  - {json.dumps(item, ensure_ascii=False)}\n" for item in value]
        else:
            lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(lines)


def mask(text: str, unknown: Collection[str] = ()) -> str:
    """Return the file's text without secrets, for a diff. An unknown setting counts as secret."""
    names = sorted({*SECRETS, "token", "agent-token", "vpn-auth", *unknown})
    pattern = "|".join(map(re.escape, names))
    return re.sub(rf"^({pattern}):[^\n]*(\n  - [^\n]*)*", rf"\1: {MASK}", text, flags=re.MULTILINE)


def read_scalar(text: str, name: str) -> Any:
    """Return a top-level scalar of a config.yaml as the type of its key, or None.

    The machine has no YAML library. k3s makes an argument of each line (pkg/configfilearg): the last one
    counts, YAML's words for flags are flags, and a flag without a value is true. A value may stand on the
    lines below its key, which are indented then.
    """
    key = rf"""^(["']?){re.escape(name)}\1[ \t]*:(?:[ \t]+(.*?))?[ \t\r]*$((?:\n[ \t]+[^\s-].*)*)"""
    found = [(value, below) for _, value, below in re.findall(key, text, flags=re.MULTILINE)]
    if not found:
        return None
    flag = name in KEYS and KEYS[name].kind == "flag"
    value, below = found[-1]
    if below and BEFORE_LINES.match(value):
        value = " ".join(line.strip() for line in below.splitlines()).strip()
    if quoted := QUOTED.match(value):
        double, single = quoted.groups()
        return typed(name, _unquoted(double) if double else single.replace("''", "'"))
    plain = re.sub(r"(^|\s)#.*", "", value).strip()
    if plain.lower() in YAML_NULL:
        return True if flag else None
    return YAML_FLAGS.get(plain.lower(), typed(name, plain)) if flag else typed(name, plain)


def _unquoted(text: str) -> str:
    """Return what a text in double quotes means. The escapes are those of JSON, and few more."""
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]


def parse_record(text: str | None) -> Start | None:
    """Return the record of a start, or None if there is none."""
    if not text:
        return None
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    binary = next((rest for first, rest in lines if first == "binary"), "")
    return Start(binary, {rest: first for first, rest in lines if first != "binary"})


def read_wanted(binary: Path, watched: list[Path], written: Mapping[Path, str | None]) -> Start:
    """Return what a start would use now.

    `written` holds texts that are about to be written; None means removed.
    """
    files = {str(path): digest for path in watched if path not in written and (digest := sha256(path))}
    files.update(
        {
            str(path): hashlib.sha256(text.encode()).hexdigest()
            for path, text in written.items()
            if path in watched and text is not None
        }
    )
    return Start(_read_binary(binary), files)


def _read_binary(link: Path) -> str:
    try:
        target = link.resolve(strict=True)
        stat = target.stat()
    except OSError:
        return ""
    return f"{target} {stat.st_size}-{int(stat.st_mtime)}"


def reasons(unit: Unit, started: Start | None, wanted: Start) -> list[str]:
    """Return why the service must be started or restarted, as sentences; none if it runs as wanted."""
    if unit.load == "not-found" or not (unit.running or unit.starting):
        return [f"{unit.name} does not run"]
    if started is None:
        return [f"it is not recorded what {unit.name} was started with"]
    found = list(_differences(started, wanted))
    if not unit.enabled:
        found.append(f"{unit.name} would not start at boot")
    return found


def _differences(started: Start, wanted: Start) -> Iterator[str]:
    if started.binary != wanted.binary:
        yield f"it was started with {_name(started.binary)}, wanted is {_name(wanted.binary)}"
    for path in sorted({*started.files, *wanted.files}):
        before, after = started.files.get(path), wanted.files.get(path)
        if before != after:
            verb = "came" if before is None else "went" if after is None else "changed"
            yield f"{path} {verb} since the start"


def _name(binary: str) -> str:
    path, _, state = binary.partition(" ")
    return f"{path} ({state})" if path else "no binary"


def installed_version(binary: Path) -> str | None:
    """Return the version in the name of the link's target, such as k3s-v1.36.5+k3s1."""
    try:
        name = binary.resolve(strict=True).name
    except OSError:
        return None
    return name[len("k3s-") :] if name.startswith("k3s-v") else None


def read_machine_network(run: Run, address: str | None) -> str | None:
    """Return the network of the interface that has this address, or None."""
    code, out, _ = run(["ip", "-json", "address", "show"]) if address else (1, "", "")
    for interface in json.loads(out) if code == 0 else []:
        for entry in interface.get("addr_info", []):
            if entry.get("local") == address:
                network = ipaddress.ip_network(f"{address}/{entry['prefixlen']}", strict=False)
                # A /32 does not show the machine's network.
                return str(network) if network.num_addresses > 1 else None
    return None


def token_problem(token: str | None, used: str | None) -> str | None:
    """Return why this token cannot be the server's: its cluster was made with another one. None if it can."""
    if not token or not used or _secret(token) == _secret(used):
        return None
    return (
        "token: this server's cluster was made with another token, and k3s would not start with a new one. "
        "Write the former token, or change it in the cluster first: "
        f"{BINARY} token rotate"
    )


def _secret(token: str) -> str:
    """Return the secret of a plain token, or of one that names its cluster: K10<hash>::server:<secret>."""
    return token.strip().rpartition(":")[2] if token.startswith("K10") else token.strip()


def change_problems(
    before: str | None,
    config: Mapping[str, Any],
    has_data: bool,
    had_data: bool,
    encrypted: bool = False,
    unchecked: Collection[str] = (),
    beside: str = "",
) -> list[str]:
    """Return why a server's settings cannot change from those of its files (`before`) to these.

    `beside` is the text of the drop-ins, which stay and whose settings count more.

    `has_data` and `had_data` say whether there is a datastore in the data-dir of the new and the old
    settings. `encrypted` says whether k3s has keys for Secrets there, which shows the former setting where
    there is no file. Settings in `unchecked` may change.
    """
    found: list[str] = []

    def former(name: str) -> Any:
        if before is None and name == "secrets-encryption":
            return encrypted
        value = read_scalar(before or "", name)
        return KEYS[name].default if value is None else value

    if had_data and not has_data:
        found.append(
            f"data-dir: the server's data is in {former('data-dir')}, and with another folder it would begin "
            "anew: stop k3s and move the folder first, or write the former one"
        )
    names = {"secrets-encryption", "secrets-encryption-provider"} - set(unchecked)
    for name in sorted(names) if has_data else ():
        wanted = read_scalar(beside, name)
        wanted = config.get(name, KEYS[name].default) if wanted is None else wanted
        # Without a file, the provider is not known.
        in_use = name == "secrets-encryption" or (before is not None and former("secrets-encryption") is True)
        if in_use and former(name) != wanted:
            found.append(
                f"{name}: the cluster's data was written with {json.dumps(former(name))}, and servers that "
                "change it one at a time come up with different keys (k3s-io/k3s#7195): write the former "
                "value, or change the data first (docs.k3s.io/cli/secrets-encrypt) and write this one into "
                "k3s_server_unchecked_config"
            )
    return found


def read_drop_ins(path: Path) -> str:
    """Return the text of all drop-ins of a configuration file, in the order in which k3s reads them."""
    return "".join(f"{read_others_text(each) or ''}\n" for each in drop_ins(path))


def read_settings(path: Path) -> str | None:
    """Return the text of a configuration file and its drop-ins after it; None if there is neither."""
    beside = read_drop_ins(path)
    text = read_others_text(path)
    return None if text is None and not beside.strip() else f"{text or ''}\n{beside}"


def read_record(path: Path) -> Start | None:
    """Return the record that the unit made at its start, or None."""
    return parse_record(read_text(path))
