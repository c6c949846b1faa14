"""What cloud-init does at a machine's first boot, as one shell script: users, keys, files, commands."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from typing import Any

import yaml

KNOWN = {"hostname", "users", "ssh_authorized_keys", "ssh_pwauth", "write_files", "runcmd", "bootcmd"}
DEFAULT_USER = {"name": "ubuntu", "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "lock_passwd": True}
RESULT = "/var/lib/cloud-init-status"  # on the volume: it outlives a boot
COMPLAINT = "/var/lib/cloud-init-complaint"
# The command `cloud-init` of the machine. Exit code 2 of `status` means: done, with recoverable errors.
STATUS_COMMAND = f"""#!/bin/sh
if [ "$*" = "schema --system" ]; then
  [ -s {COMPLAINT} ] || {{ echo "Valid schema user-data"; exit 0; }}
  cat {COMPLAINT} >&2
  exit 1
fi
[ "$1" = status ] || {{ echo "the lab's cloud-init knows: status [--wait], schema --system" >&2; exit 1; }}
while :; do
  result=$(cat {RESULT} 2>/dev/null || echo running)
  case "$*:$result" in *--wait*:running) sleep 1 ;; *) break ;; esac
done
case $result in
  degraded) echo "status: done"; exit 2 ;;
  error) echo "status: error"; exit 1 ;;
  *) echo "status: $result" ;;
esac
"""


class UserDataError(ValueError):
    """The user data is not a mapping in YAML."""


def parse(text: str) -> dict[str, Any]:
    """Return the user data as a mapping; an empty text gives an empty mapping."""
    try:
        found = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise UserDataError(f"error loading cloud-init config: {error}") from error
    if not isinstance(found or {}, dict):
        raise UserDataError("error loading cloud-init config: not a mapping")
    return found or {}


def unknown_keys(data: dict[str, Any]) -> list[str]:
    """Return the top-level keys that this cloud-init does not know, sorted."""
    return sorted(set(data) - KNOWN)


def script(data: dict[str, Any], *, name: str) -> str:
    """Return the script of the first boot.

    It writes to cloud-init's log, and goes on after a failed command.
    """
    lines = [
        "exec >>/var/log/cloud-init-output.log 2>&1",
        "failed=",
        f"echo running > {RESULT}",
        *put("/usr/bin/cloud-init", STATUS_COMMAND, "0755"),
        *account_of_the_image(),
        f"hostname {shlex.quote(str(data.get('hostname', name)))}",
        f"echo {shlex.quote(str(data.get('hostname', name)))} > /etc/hostname",
    ]
    for user in users(data):
        lines += add_user(user)
    for file in data.get("write_files") or []:
        lines += write_file(file)
    for command in [*(data.get("bootcmd") or []), *(data.get("runcmd") or [])]:
        lines.append(f"{run(command)} || failed=error")
    if unknown_keys(data):
        lines += put(COMPLAINT, complaint(unknown_keys(data)), "0644")
        lines.append(f"cat {COMPLAINT}")
    ending = "degraded" if unknown_keys(data) else "done"
    lines.append(f"echo ${{failed:-{ending}}} > {RESULT}")
    return "\n".join(lines) + "\n"


def complaint(keys: list[str]) -> str:
    """Return what `cloud-init schema` prints about unknown keys."""
    listed = ", ".join(f"'{key}'" for key in keys)
    verb = "was" if len(keys) == 1 else "were"
    return (
        "Invalid user-data /var/lib/cloud/instance/cloud-config.txt\nError: Cloud config schema errors: "
        f": Additional properties are not allowed ({listed} {verb} unexpected)\n"
    )


def account_of_the_image() -> list[str]:
    """Return the lines that remove the account `operator`: it is in the lab's image and not in Ubuntu's."""
    return ["userdel --remove operator 2>/dev/null || true", "rm -f /etc/sudoers.d/operator"]


def users(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the accounts in their order. Public keys at the top level belong to the default account."""
    for user in data.get("users") or ["default"]:
        if user == "default":
            yield {**DEFAULT_USER, "ssh_authorized_keys": data.get("ssh_authorized_keys") or []}
        elif isinstance(user, dict):
            yield user


def add_user(user: dict[str, Any]) -> list[str]:
    """Return the shell lines that make one account with its groups, sudo rules and public keys."""
    name, shell = str(user["name"]), str(user.get("shell", "/bin/sh"))
    quoted = shlex.quote(name)
    group = user.get("primary_group")
    command = ["useradd", "--create-home", "--shell", shell]
    lines = []
    if group:
        lines.append(
            f"getent group {shlex.quote(str(group))} >/dev/null || groupadd {shlex.quote(str(group))}"
        )
        command += ["--gid", str(group)]
    elif not user.get("no_user_group"):
        command += ["--user-group"]
    groups = user.get("groups") or []
    wanted = groups if isinstance(groups, list) else str(groups).replace(" ", "").split(",")
    if wanted:
        command += ["--groups", ",".join(wanted)]
    lines.append(f"id {quoted} >/dev/null 2>&1 || {shlex.join([*command, name])} || failed=error")
    rules = user.get("sudo") or []
    rule = "\n".join(f"{name} {each}" for each in (rules if isinstance(rules, list) else [rules]))
    if rule:
        lines += put(f"/etc/sudoers.d/90-cloud-init-{name}", f"{rule}\n", "0440")
    keys = user.get("ssh_authorized_keys") or []
    if keys:
        home = f"/home/{name}/.ssh"
        lines.append(f"install -d -m 0700 -o {quoted} -g $(id -g {quoted}) {shlex.quote(home)}")
        lines += put(f"{home}/authorized_keys", "".join(f"{key}\n" for key in keys), "0600")
        lines.append(f"chown {quoted}:$(id -g {quoted}) {shlex.quote(home)}/authorized_keys")
    return lines


def write_file(file: dict[str, Any]) -> list[str]:
    """Return the shell lines for one entry of `write_files`; its content may be encoded in base64."""
    content = str(file.get("content", ""))
    if str(file.get("encoding", "")) in ("b64", "base64"):
        content = base64.b64decode(content).decode()
    path = str(file["path"])
    lines = put(path, content, str(file.get("permissions", "0644")), append=bool(file.get("append")))
    if file.get("owner"):
        lines.append(f"chown {shlex.quote(str(file['owner']))} {shlex.quote(path)} || failed=error")
    return lines


def put(path: str, content: str, mode: str, *, append: bool = False) -> list[str]:
    """Return the lines that write a file with any content and an octal mode."""
    encoded, quoted = base64.b64encode(content.encode()).decode(), shlex.quote(path)
    return [
        f"mkdir -p $(dirname {quoted})",
        f"echo {encoded} | base64 -d {'>>' if append else '>'} {quoted}",
        f"chmod {mode} {quoted}",
    ]


def run(command: str | list[Any]) -> str:
    """Return a command for the shell: a text is one already, a list is a program with its arguments."""
    return f"sh -c {shlex.quote(command)}" if isinstance(command, str) else shlex.join(map(str, command))
