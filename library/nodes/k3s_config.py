#!/usr/bin/python
"""Check and write the configuration of k3s, and find out whether k3s has to be restarted for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_config
short_description: Check and write the configuration of k3s
description:
  - Checks the keys, types, networks and the agreement of all servers against the wanted version of k3s, and
    refuses what k3s would only refuse by not starting. Nothing is changed then.
  - Writes C(config.yaml), C(registries.yaml) and the token file, each readable by root only, and the unit.
  - Says whether a restart is due, by what the running process was started with. The unit records that at each
    start.
  - Starts and restarts nothing itself.
author: Metalworks
options:
  role:
    description: Whether the machine is a server or an agent.
    type: str
    required: true
    choices: [server, agent]
  config:
    description: The whole content of the file, by the names of k3s's flags.
    type: dict
    required: true
  token:
    description: The cluster's token. Written to the file that O(config) names as C(token-file).
    type: str
  registries:
    description:
      - Where images are pulled from, in the format of k3s's C(registries.yaml), which is written beside
        O(path). The key C(tls.ca) holds the text of a CA's certificate, which becomes a file and C(ca_file).
      - Empty removes what this module wrote, and leaves a file of others alone. Without it nothing is looked
        at.
    type: dict
  version:
    description:
      - The version of k3s against which the keys are checked, like V(v1.36.5+k3s1).
      - Without it that of the installed binary.
    type: str
  path:
    description: The configuration file.
    type: path
    default: /etc/rancher/k3s/config.yaml
  binary:
    description: The link to the binary that the unit starts.
    type: path
    default: /usr/local/bin/k3s
  unchecked:
    description: The keys of O(config) that are neither judged by their names nor by their values.
    type: list
    elements: str
    default: []
  environment:
    description:
      - Variables of k3s's environment, such as C(HTTPS_PROXY) and C(NO_PROXY). They are written where
        k3s's own install.sh keeps them, readable by root only.
    type: dict
    default: {}
  data:
    description: The folder that holds k3s's data. A server whose cluster has another token is refused.
    type: path
    default: /var/lib/rancher/k3s
  peers:
    description: The other servers, so that what must be equal on all is compared.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The other server's name.
        type: str
        required: true
      config:
        description: Its configuration.
        type: dict
        required: true
  started:
    description: The record that the unit makes at its start. Without it C(/run/metalworks/<unit>.started).
    type: path
attributes:
  check_mode:
    description: Says what would change and whether a restart would be due.
    support: full
  diff_mode:
    description: Shows the change of the files, secrets masked.
    support: full
  idempotent:
    description: Writes only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Configure the server
  k3s_config:
    role: server
    version: v1.36.5+k3s1
    token: "{{ k3s_server_token }}"
    config:
      token-file: /etc/rancher/k3s/token
      node-name: metal-1
      disable: [traefik]
    registries:
      mirrors:
        quay.io: {endpoint: ["https://registry.example:5000"]}
      configs:
        registry.example:5000:
          auth: {username: nodes, password: "{{ vault_registry_password }}"}
          tls: {ca: "{{ lookup('ansible.builtin.file', inventory_dir ~ '/registry-ca.crt') }}"}
"""

RETURN = r"""
restart_due:
  description: Whether the service is to be started or restarted.
  type: bool
  returned: always
reasons:
  description: Why, as sentences.
  type: list
  elements: str
  returned: always
  sample: [/etc/rancher/k3s/config.yaml changed since the start]
now:
  description: The machine's own time before anything was restarted, in seconds.
  type: float
  returned: always
instance:
  description: systemd's id of the process that runs now; another one is there after a restart.
  type: str
  returned: always
unit_installed:
  description: Whether systemd knows the unit before this call.
  type: bool
  returned: always
version:
  description: The version against which the configuration was checked.
  type: str
  returned: always
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.files import (
    ABSENT,
    File,
    displayable,
    is_as_wanted,
    put_file,
    read_file,
    read_others_text,
    read_text,
)
from ansible.module_utils.metalworks.common.run import runner
from ansible.module_utils.metalworks.common.systemd import read_unit
from ansible.module_utils.metalworks.k3s import registries as k3s_registries
from ansible.module_utils.metalworks.k3s import unit as k3s_unit
from ansible.module_utils.metalworks.k3s.cluster import read_datastore
from ansible.module_utils.metalworks.k3s.config import (
    ENCRYPTION,
    change_problems,
    installed_version,
    mask,
    read_drop_ins,
    read_machine_network,
    read_record,
    read_scalar,
    read_settings,
    read_wanted,
    reasons,
    render,
    token_problem,
)
from ansible.module_utils.metalworks.k3s.keys import KEYS, SECRETS
from ansible.module_utils.metalworks.k3s.settings import problems, warnings
from ansible.module_utils.metalworks.k3s.types import split
from ansible.module_utils.metalworks.k3s.unit import HEADER

ARGUMENTS: dict[str, Any] = {
    "role": {"type": "str", "required": True, "choices": ["server", "agent"]},
    "config": {"type": "dict", "required": True},
    "token": {"type": "str", "no_log": True},
    "registries": {"type": "dict"},
    "version": {"type": "str"},
    "path": {"type": "path", "default": "/etc/rancher/k3s/config.yaml"},
    "binary": {"type": "path", "default": "/usr/local/bin/k3s"},
    "data": {"type": "path", "default": "/var/lib/rancher/k3s"},
    "unchecked": {"type": "list", "elements": "str", "default": []},
    "environment": {"type": "dict", "default": {}},
    "peers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "config": {"type": "dict", "required": True},
        },
    },
    "started": {"type": "path"},
}
NEWEST = "v1.999.0+k3s1"  # used if neither a binary nor an option names a version: every key is known to it


def wanted_files(params: dict[str, Any], unit: str, version: str) -> dict[Path, File]:
    """Return all wanted files.

    The unit is readable by all: it is no secret, and systemd warns if it is not.
    """
    path = Path(params["path"])
    environment = k3s_unit.environment_file(unit)
    files = {
        path: File(render(params["config"]), 0o600),
        k3s_unit.FOLDER / unit: File(
            k3s_unit.render(params["role"], unit, path, params["config"], version), 0o644
        ),
        **own_file(environment, k3s_unit.render_environment(params["environment"])),
    }
    if params["token"]:
        files[Path(params["config"]["token-file"])] = File(params["token"] + "\n", 0o600)
    if params["registries"] is not None:
        files.update(registry_files(params["registries"], path.parent))
    return files


def own_file(path: Path, text: str) -> dict[Path, File]:
    """Return the wanted file. Without a text it is removed, unless somebody else wrote it."""
    if text:
        return {path: File(text, 0o600)}
    return {path: ABSENT} if (read_others_text(path) or "").startswith(HEADER) else {}


def registry_files(registries: dict[str, Any], folder: Path) -> dict[Path, File]:
    """Return registries.yaml and the files of its CAs, with those that have to be removed."""
    file, authorities = folder / "registries.yaml", folder / "registries.d"
    text, certificates = k3s_registries.render(registries, authorities)
    files = dict.fromkeys(authorities.glob("*.crt"), ABSENT)
    files.update({path: File(certificate, 0o600) for path, certificate in certificates.items()})
    files.update(own_file(file, HEADER + text if text else ""))
    return files


def plan(wanted: dict[Path, File], found: dict[Path, File]) -> dict[Path, File]:
    """Return the files to write or remove: those whose text or mode differs."""
    return {path: file for path, file in wanted.items() if not is_as_wanted(found[path], file)}


def diff(path: Path, before: str | None, after: str | None, unknown: list[str]) -> dict[str, str]:
    """Return one entry of the module's diff, without secrets."""
    return {
        "before_header": str(path),
        "after_header": str(path),
        "before": shown(path, before, unknown),
        "after": shown(path, after, unknown),
    }


def shown(path: Path, text: str | None, unknown: list[str]) -> str:
    """Return a text without its secrets. A registries.yaml that others wrote is not shown at all."""
    text = displayable(text or "")
    if path.name != "registries.yaml":
        return str(mask(text, unknown))
    if text and not text.startswith(HEADER):
        return "(written by others; it may hold logins)\n"
    return str(k3s_registries.mask(text))


def check(module: AnsibleModule, version: str) -> None:
    """Fail with everything that is wrong with the configuration."""
    params = module.params
    role, config, unchecked = params["role"], params["config"], params["unchecked"]
    address = split(config.get("node-ip", ""))[0] or None
    network = read_machine_network(runner(module), address)
    found = problems(role, config, version, params["peers"], network, unchecked)
    if params["token"] and "token-file" not in config:
        found.append("token-file: a token is given, but not the file that it belongs into")
    if role == "server" and not found:
        found += data_problems(params)
    found += [f"environment: {each}" for each in k3s_unit.environment_problems(params["environment"])]
    found += [f"registries: {sentence}" for sentence in k3s_registries.problems(params["registries"] or {})]
    if found:
        module.fail_json(msg=f"The configuration of k3s ({role}) is wrong:\n- " + "\n- ".join(found))
    for sentence in warnings(config, params["peers"], unchecked):
        module.warn(f"The configuration of k3s ({role}): {sentence}.")


def data_problems(params: dict[str, Any]) -> list[str]:
    """Return which settings and token a server with data cannot take."""
    data, path = Path(params["data"]), Path(params["path"])
    before = read_settings(path)
    former = read_scalar(before or "", "data-dir") or KEYS["data-dir"].default
    has_data, had_data = (read_datastore(folder) != "none" for folder in (data, Path(str(former))))
    token = token_problem(params["token"], read_text(data / "server" / "token"))
    keys = data / ENCRYPTION
    encrypted = keys.is_file() and keys.stat().st_size > 0
    found: list[str] = change_problems(
        before,
        params["config"],
        has_data,
        had_data,
        encrypted,
        params["unchecked"],
        read_drop_ins(path),
    )
    return [*found, *([token] if token else [])]


def shown_files(wanted: dict[Path, File], path: Path) -> list[Path]:
    """Return the files whose changes are shown in the diff."""
    return [each for each in wanted if each in (path, path.parent / "registries.yaml")]


def secrets(*configs: dict[str, Any]) -> set[str]:
    """Return the secret values, which a verbose run must not print either."""
    return {str(config[name]) for config in configs for name in SECRETS & set(config) if config[name]}


def logins(environment: dict[str, Any]) -> set[str]:
    """Return the values of the environment that hold a login, such as the address of a proxy."""
    return {str(value) for value in environment.values() if "@" in str(value)}


def main() -> None:
    """Check the configuration, write what differs, and return whether a restart is due."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    module.no_log_values.update(secrets(params["config"], *(peer["config"] for peer in params["peers"])))
    module.no_log_values.update(k3s_registries.secrets(params["registries"]) | logins(params["environment"]))
    binary, path = Path(params["binary"]), Path(params["path"])
    version = params["version"] or installed_version(binary) or NEWEST
    check(module, version)

    unit = read_unit(runner(module), k3s_unit.UNITS[params["role"]])
    wanted = wanted_files(params, unit.name, version)
    found = {each: read_file(each) for each in wanted}
    steps = plan(wanted, found)

    started = read_record(Path(params["started"] or f"/run/metalworks/{unit.name}.started"))
    watched = [*k3s_unit.watched_files(path, params["config"], unit.name), *k3s_unit.drop_ins(path)]
    texts = {each: file.text for each, file in steps.items()}
    due = reasons(unit, started, read_wanted(binary, watched, texts))
    unknown = sorted(set(params["config"]) - set(KEYS))
    if not module.check_mode:
        for each, file in steps.items():
            put_file(each, file)
    module.exit_json(
        changed=bool(steps),
        restart_due=bool(due),
        reasons=due,
        now=time.time(),
        instance=unit.invocation,
        unit_installed=unit.load == "loaded",
        version=version,
        diff=[diff(each, found[each].text, wanted[each].text, unknown) for each in shown_files(wanted, path)],
    )


if __name__ == "__main__":
    main()
