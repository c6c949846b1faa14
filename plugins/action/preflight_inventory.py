"""Judge the inventory. Reads the variables of all hosts and the defaults of all roles; asks no machine."""

from __future__ import annotations

import ipaddress
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

from ansible.module_utils.metalworks.common.yaml_text import read_yaml
from ansible.module_utils.metalworks.rules.judge import judge
from ansible.module_utils.metalworks.rules.platform import LOCALHOST, PROGRAMS, Platform, UnusableValue

ROLES = ("roles", "lab/roles")


class ActionModule(ActionBase):
    """Return `problems` (sentences) and `skipped` (names of rules). Problems do not make the task fail."""

    _requires_connection = False
    _VALID_ARGS = frozenset[str]()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Judge the inventory's values for all hosts."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        judgement = judge(self._platform(task_vars or {}))
        return {**result, "changed": False, "problems": judgement.problems, "skipped": judgement.skipped}

    def _platform(self, task_vars: Mapping[str, Any]) -> Platform:
        hostvars, groups = task_vars["hostvars"], task_vars["groups"]
        defaults = self._defaults()
        members = {
            host for name in ("k3s_cluster", "k3s_server", "k3s_agent") for host in groups.get(name, ())
        }
        given = {
            host: hostvars.raw_get(host)
            for host in [LOCALHOST, *groups["all"]]
            if host in {LOCALHOST, *members}
        }
        read = {
            host: Templar(loader=self._loader, variables={**defaults, **raw, "hostvars": hostvars})
            for host, raw in given.items()
        }
        return Platform(
            values=Values({**defaults, **given[LOCALHOST]}, read[LOCALHOST]),
            hosts={host: Values(raw, read[host]) for host, raw in given.items() if host in members},
            groups={name: list(hosts) for name, hosts in groups.items()},
            given=given,
            specs=read_specs(),
            entries=read_entries(),
            routes=read_routes(),
            missing_programs=[name for name in PROGRAMS if not shutil.which(name)],
        )

    def _defaults(self) -> dict[str, Any]:
        """Return the defaults of all roles; templates are not resolved yet."""
        found: dict[str, Any] = {}
        for path in role_files("defaults/main.yml"):
            found.update(self._loader.load_from_file(str(path), trusted_as_template=True) or {})
        return found


class Values(Mapping[str, Any]):
    """A host's variables as plain data. A template is resolved when its value is asked for."""

    def __init__(self, raw: Mapping[str, Any], templar: Templar) -> None:
        """Keep the variables as they are written, and the templar that resolves them."""
        self._raw, self._templar, self._known = raw, templar, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        """Return a resolved value; UnusableValue holds the reason if it cannot be resolved."""
        if name not in self._known:
            raw = self._raw[name]
            try:
                self._known[name] = plain(self._templar.template(raw))
            except AnsibleError as error:
                message = str(error.message).rstrip(".")
                undefined = UNDEFINED.search(message)
                raise UnusableValue(
                    f"{name} cannot be resolved: {message}{_hint(message)}", undefined[1] if undefined else ""
                ) from None
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._raw)

    def __len__(self) -> int:
        """Return the number of variables."""
        return len(self._raw)


# Jinja's words for a template that needs a variable which is not defined.
UNDEFINED = re.compile(r"'(\w+)' is undefined")
# What a message of Ansible's templates means here, and what to do.
HINTS = (
    (
        r"'inventory_dir' is undefined",
        "Ansible knows it of listed hosts only: list localhost, as inventories/metal/hosts.yml does",
    ),
    (r"no vault secrets found", "The password of the vault is missing: use --ask-vault-pass"),
    (r"[Dd]ecryption failed", "The password of the vault is another one: type it again, or correct its file"),
    (r"^hostvars\['", "The inventory has no such host: write one of its own"),
    (r"No (first|last) item", "The list is empty, for example a group without hosts: write the value itself"),
    (
        r"'dict[^']*' has no attribute|ansible_facts",
        "There is no such key. Facts and results of machines are not known before they are asked: write the "
        "value itself",
    ),
    (r"is undefined", "Define it for all hosts (group_vars/all), or write the value itself"),
)


def _hint(message: str) -> str:
    """Return what to do about a template that cannot be resolved; empty if only Ansible's message says it."""
    return next((f". {hint}" for pattern, hint in HINTS if re.search(pattern, message)), "")


def plain(value: Any) -> Any:
    """Return a value without Ansible's tags and lazy containers, so that its type is what YAML says."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (str, float):
        if isinstance(value, kind):
            return kind(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_entries() -> dict[str, Any]:
    """Return the entries of artifacts.yml as they are written."""
    entries: dict[str, Any] = read_yaml((ROOT / "artifacts.yml").read_text())["artifacts"]
    return entries


def role_files(name: str) -> list[Path]:
    """Return the paths of a file in all roles that have it."""
    return sorted(path for room in ROLES for path in (ROOT / room).glob(f"*/{name}"))


def read_specs() -> dict[str, dict[str, Any]]:
    """Return the options of each role, those of all its entry points together."""
    found = {}
    for path in role_files("meta/argument_specs.yml"):
        entries = read_yaml(path.read_text())["argument_specs"].values()
        found[path.parents[1].name] = {
            name: option for entry in entries for name, option in (entry.get("options") or {}).items()
        }
    return found


def read_routes() -> list[str]:
    """Return the IPv4 networks to which this computer has a route (the kernel writes little-endian hex)."""
    table = Path("/proc/net/route")
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    return [f"{_dotted(line.split()[1])}/{_dotted(line.split()[7])}" for line in lines]


def _dotted(little_endian_hex: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(bytes.fromhex(little_endian_hex)[::-1])
