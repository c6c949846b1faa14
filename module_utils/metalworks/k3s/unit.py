"""The systemd unit that runs k3s, the files that k3s reads at its start, and its environment.

The unit records at each start what it starts with, in a file under /run, which a reboot clears. The record
and the module k3s_config use the list of files here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.metalworks.common.addresses import HostPort, parse_address, parse_network
from ansible.module_utils.metalworks.k3s.keys import FILES, KEYS
from ansible.module_utils.metalworks.k3s.release import keeps_imports
from ansible.module_utils.metalworks.k3s.types import FILE

HEADER = "# Written by Ansible: a change made here is undone by the next run.\n"
BINARY = "/usr/local/bin/k3s"
FOLDER = Path("/etc/systemd/system")
UNITS = {"server": "k3s.service", "agent": "k3s-agent.service"}
# k3s reads files with these endings in config.yaml.d, in small and capital letters (pkg/configfilearg).
DROP_INS = ("*.[yY][aA][mM][lL]", "*.[yY][mM][lL]")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")

# The unit of k3s's own install.sh, with a record of what is started, and with a limit of the time to start.
TEXT = """\
[Unit]
Description=k3s {role} (Metalworks)
Documentation=https://docs.k3s.io
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-{environment}
# A pod outlives a restart of k3s: only the main process is stopped, and it manages the groups of its own.
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
# Joining may wait for other nodes; without an end it would wait for ever and nobody would be told.
TimeoutStartSec=15min
Restart=always
RestartSec=5s
# What this process is started with: a restart is due when something else is wanted (module k3s_config).
ExecStartPre=/bin/sh -c 'umask 077; mkdir -p /run/metalworks; \\
    {{ stat -L -c "binary $$(readlink -f {binary}) %%s-%%Y" {binary}; \\
    sha256sum {watched} 2>/dev/null; }} > /run/metalworks/%n.started; true'
{cache}ExecStart={binary} {role}

[Install]
WantedBy=multi-user.target
"""

# k3s skips an archive of images that it imported before if this file exists (docs.k3s.io/import-images). The
# file is made here, and not by an earlier task, because a former k3s that still runs would note the new
# archive in it without the names of its images, and the new k3s could then not pin them. So such a file is
# emptied. It is emptied as well if containerd's store is gone, whose images it is about.
CACHE = """\
# Archives of images are imported when they are new or changed, and not at every start.
ExecStartPre=-/bin/sh -c 'cd {data}/agent/images 2>/dev/null || exit 0; \\
    [ -d {data}/agent/containerd ] && grep -qs .images.: .cache.json || : > .cache.json'
"""


def render(role: str, unit: str, config_file: Path, config: Mapping[str, Any], version: str) -> str:
    """Return the text of the unit of a `server` or an `agent` that runs this version of k3s."""
    drop_ins = [f"{config_file}.d/{pattern}" for pattern in DROP_INS]
    watched = " ".join([*map(str, watched_files(config_file, config, unit)), *drop_ins])
    data = str(config.get("data-dir") or KEYS["data-dir"].default)
    cache = CACHE.format(data=data) if keeps_imports(version) and FILE.match(data) else ""
    environment = environment_file(unit)
    text = TEXT.format(role=role, binary=BINARY, environment=environment, watched=watched, cache=cache)
    return HEADER + text


def watched_files(config_file: Path, config: Mapping[str, Any], unit: str) -> list[Path]:
    """Return the files that k3s reads only at its start, those that its settings name included.

    No drop-ins.
    """
    name = unit.rpartition(".")[0]
    named = [Path(config[key]) for key in FILES if FILE.match(str(config.get(key, "")))]
    environments = [Path("/etc/default") / name, Path("/etc/sysconfig") / name, environment_file(unit)]
    return [config_file, config_file.parent / "registries.yaml", *named, *environments, FOLDER / unit]


def drop_ins(config_file: Path) -> list[Path]:
    """Return the drop-ins, whose settings k3s adds to those of its configuration file."""
    folder = config_file.parent / f"{config_file.name}.d"
    return sorted({path for pattern in DROP_INS for path in folder.glob(pattern)})


# The environment of the process, mostly proxies.


def environment_file(unit: str) -> Path:
    """Return the path of the unit's environment, which is that of install.sh."""
    return FOLDER / f"{unit}.env"


def render_environment(environment: Mapping[str, Any]) -> str:
    """Return the text of systemd's EnvironmentFile; empty if no variable is set."""
    values = {name: re.sub(r'(["\\])', r"\\\1", str(value)) for name, value in sorted(environment.items())}
    return HEADER + "".join(f'{name}="{value}"\n' for name, value in values.items()) if values else ""


def environment_problems(environment: Mapping[str, Any]) -> Iterator[str]:
    """Return what is wrong with the environment, without its values."""
    for name, value in environment.items():
        if not VARIABLE.match(str(name)):
            yield f"{name!r} is not the name of a variable of the environment"
        elif str(name).startswith("K3S_"):
            # Each flag of k3s has such a name (pkg/cli/cmds), and the roles would not follow it.
            yield f"{name} is a setting of k3s by another name; write the setting into the configuration"
        if isinstance(value, bool) or not isinstance(value, (str, int)) or "\n" in str(value):
            yield f"{name} is not one line of text; write it in quotes"


def proxy_problems(environment: Mapping[str, Any], asked: Sequence[HostPort]) -> Iterator[str]:
    """Return which of the cluster's own hosts, that a node asks, it would ask through its proxy."""
    upper = {str(name).upper(): str(value) for name, value in environment.items()}
    if not any(upper.get(name) for name in PROXIES):
        return
    # k3s adds the networks of pods and services and the cluster's domain itself (docs.k3s.io/advanced).
    around = [entry.strip().lower() for entry in upper.get("NO_PROXY", "").split(",") if entry.strip()]
    missing = [each.host for each in asked if not any(_covers(entry, each) for entry in around)]
    if missing:
        yield (
            f"NO_PROXY does not name {', '.join(dict.fromkeys(missing))}, so k3s would ask the proxy for its "
            "own nodes; write the nodes' network, like 192.168.1.0/24, or their addresses and names, into "
            "NO_PROXY"
        )


def _covers(entry: str, asked: HostPort) -> bool:
    """Return whether an entry of NO_PROXY, in small letters, covers a host at its port.

    As in golang.org/x/net/http/httpproxy (config.init): `*`, a network, and an address or a name, which may
    have a port. A name covers what is below it, too, and with `.` or `*.` in front nothing else.
    """
    if entry == "*":
        return True
    address = parse_address(asked.host)
    if "/" in entry:
        network = parse_network(entry, strict=False)
        return bool(network and address and address in network)
    host, colon, port = entry.rpartition(":") if parse_address(entry) is None else (entry, "", "")
    if not colon:
        host = entry
    elif port != str(asked.port):
        return False
    host = host.strip("[]")
    if address or parse_address(host):
        return bool(address == parse_address(host))
    name = host[1:] if host.startswith("*.") else host
    wanted = asked.host.lower()
    return bool(wanted == name or wanted.endswith(f".{name.lstrip('.')}"))
