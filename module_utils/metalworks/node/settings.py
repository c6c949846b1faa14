"""Set a machine's kernel parameters, modules, swap and host name so that it can be a node."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.metalworks.common.files import (
    as_bytes,
    make_folder,
    read_others_text,
    read_text,
    write_atomically,
)
from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.node import boot

HEADER = "# Written by Ansible (role node).\n"
SYSCTL_FILE = "etc/sysctl.d/90-metalworks.conf"
MODULES_FILE = "etc/modules-load.d/metalworks.conf"
SWAP_LINE = re.compile(r"^[ \t]*(?!#)\S+[ \t]+\S+[ \t]+swap(?=\s|\Z)", re.MULTILINE)


@dataclass(frozen=True)
class Wanted:
    """The wanted settings."""

    sysctls: Mapping[str, str]
    modules: Sequence[str]
    swap_off: bool = False


@dataclass(frozen=True)
class Found:
    """The settings that the machine has. None stands for a file or parameter that does not exist."""

    in_container: bool
    sysctls: Mapping[str, str | None]
    modules: frozenset[str]
    files: Mapping[str, str | None]
    swap_used: bool = False
    hostname: str = "metal"
    hostname_resolves: bool = True
    time_synchronised: bool = True
    swap_units: Sequence[str] = ()
    rpi_swap: bool = False
    swap_scripts: Sequence[str] = ()
    later_sysctls: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    blocked_modules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step: write a file, set a parameter, or run a program."""

    sentence: str
    file: str = ""
    text: str = ""
    sysctl: tuple[str, str] | None = None
    command: Sequence[str] = field(default_factory=tuple)


def read(run: Run, wanted: Wanted, root: Path) -> Found:
    """Return the machine's settings. `root` is / but in tests."""
    names = (SYSCTL_FILE, MODULES_FILE, "etc/fstab", "etc/hosts", "proc/swaps", "proc/modules")
    files = {name: read_others_text(root / name) for name in names}
    hostname = socket.gethostname()
    return Found(
        in_container=run(["systemd-detect-virt", "--container", "--quiet"])[0] == 0,
        sysctls={name: _read_sysctl(root, name) for name in wanted.sysctls},
        modules=_loaded(root, files["proc/modules"] or "", wanted.modules),
        files=files,
        swap_used=len((files["proc/swaps"] or "").splitlines()) > 1,
        hostname=hostname,
        hostname_resolves=_resolves(hostname),
        time_synchronised=_synchronised(run),
        swap_units=boot.swap_units(root),
        rpi_swap=boot.rpi_swap_acts(root),
        swap_scripts=boot.scripts_with_swap(root),
        later_sysctls=boot.later_sysctls(root, SYSCTL_FILE, wanted.sysctls),
        blocked_modules=boot.blocked_modules(root, wanted.modules),
    )


def plan(wanted: Wanted, found: Found) -> list[Step]:
    """Return all steps in their order. Nothing is read or changed here, so tables test it."""
    return [
        *([] if found.in_container else _module_steps(wanted, found)),
        *_sysctl_steps(wanted, found),
        *(_swap_steps(found) if wanted.swap_off and not found.in_container else []),
        *_hostname_steps(found),
    ]


def apply(run: Run, steps: Sequence[Step], root: Path) -> None:
    """Do the steps; RuntimeError or OSError if one fails."""
    for step in steps:
        if step.file:
            path = root / step.file
            make_folder(path.parent)
            # In a container /etc/hosts may be a mount, which can be written but not replaced.
            if step.file == "etc/hosts":
                path.write_bytes(as_bytes(step.text))
            else:
                write_atomically(path, step.text, 0o644)
        elif step.sysctl:
            name, value = step.sysctl
            _sysctl_path(root, name).write_text(f"{value}\n")
        else:
            code, _, error = run(list(step.command))
            if code:
                raise RuntimeError(f"{step.sentence}: {' '.join(step.command)} failed: {error.strip()}")


def warnings(wanted: Wanted, found: Found) -> list[str]:
    """Return what the operator should know and the role does not change."""
    if found.in_container:
        return list(_shared_limits(wanted, found))
    return [*_clock_warnings(found), *_boot_warnings(wanted, found)]


def _clock_warnings(found: Found) -> Iterator[str]:
    if not found.time_synchronised:
        yield (
            "The clock is not synchronised: certificates and etcd need it. Install chrony or "
            "systemd-timesyncd."
        )


def _boot_warnings(wanted: Wanted, found: Found) -> Iterator[str]:
    """Yield what undoes the role's work at the next boot and is somebody's own writing."""
    for name, (value, path) in found.later_sysctls.items():
        if not _suffices(name, value, wanted.sysctls[name]):
            yield (
                f"/{path} sets {name} to {value} at each boot, after this role's file (wanted is "
                f"{wanted.sysctls[name]}): take that line out."
            )
    for module, path in found.blocked_modules.items():
        yield f"/{path} keeps the kernel module {module} from being loaded at boot: take that line out."
    if not wanted.swap_off:
        return
    for path in found.swap_scripts:
        yield f"/{path} calls swapon, so that swap may be on again after a boot: take that line out."
    known = found.swap_units or found.rpi_swap or found.swap_scripts
    if found.swap_used and not known and not SWAP_LINE.search(found.files["etc/fstab"] or ""):
        yield (
            "Swap is turned off now. What turned it on is not known, so it may be on again after a boot: "
            "`swapon --show` after the next one tells."
        )


def _shared_limits(wanted: Wanted, found: Found) -> Iterator[str]:
    """Yield the limits that all containers of a computer share and that are too low for a kubelet."""
    for name, value in wanted.sysctls.items():
        if name.startswith("fs.") and not _suffices(name, found.sysctls[name], value):
            yield (
                f"{name} is {found.sysctls[name]}, wanted is {value}. It belongs to the computer under this "
                f"container: run `sysctl -w {name}={value}` there."
            )


def _module_steps(wanted: Wanted, found: Found) -> Iterator[Step]:
    text = HEADER + "".join(f"{name}\n" for name in wanted.modules)
    if found.files[MODULES_FILE] != text:
        yield Step("Load the kernel modules at boot", file=MODULES_FILE, text=text)
    for name in wanted.modules:
        if name not in found.modules:
            yield Step(f"Load the kernel module {name}", command=("modprobe", name))


def _sysctl_steps(wanted: Wanted, found: Found) -> Iterator[Step]:
    # A container shares the kernel. Only parameters of its own network namespace may be set.
    ours = {
        name: value
        for name, value in sorted(wanted.sysctls.items())
        if not found.in_container or (name.startswith("net.ipv4.") and found.sysctls[name] is not None)
    }
    text = HEADER + "".join(f"{name} = {value}\n" for name, value in ours.items())
    if found.files[SYSCTL_FILE] != text:
        yield Step("Keep the kernel parameters over a boot", file=SYSCTL_FILE, text=text)
    for name, value in ours.items():
        if not _suffices(name, found.sysctls[name], value):
            yield Step(f"Set {name} to {value}", sysctl=(name, value))


def _suffices(name: str, found: str | None, wanted: str) -> bool:
    """Return whether a parameter is as wanted; a limit (fs.) may also be higher."""
    if found is not None and name.startswith("fs.") and found.isdigit() and wanted.isdigit():
        return int(found) >= int(wanted)
    return found == wanted


def _swap_steps(found: Found) -> Iterator[Step]:
    fstab = found.files["etc/fstab"] or ""
    text = SWAP_LINE.sub(lambda line: f"# {line[0]}", fstab)
    if text != fstab:
        yield Step("Keep swap off over a boot", file="etc/fstab", text=text)
    if found.rpi_swap:
        yield Step("Have rpi-swap make no swap at boot", file=boot.RPI_SWAP_FILE, text=boot.RPI_SWAP_OFF)
    for unit in found.swap_units:
        yield Step(f"Keep {unit} from turning swap on at boot", command=("systemctl", "mask", unit))
    if found.swap_used:
        yield Step("Turn swap off", command=("swapoff", "--all"))


def _hostname_steps(found: Found) -> Iterator[Step]:
    hosts = found.files["etc/hosts"] or ""
    if not found.hostname_resolves and not re.search(rf"\s{re.escape(found.hostname)}(\s|$)", hosts):
        text = hosts + ("" if hosts.endswith("\n") or not hosts else "\n") + f"127.0.1.1 {found.hostname}\n"
        yield Step(f"Make the host name {found.hostname} resolvable", file="etc/hosts", text=text)


def _sysctl_path(root: Path, name: str) -> Path:
    return root / "proc/sys" / name.replace(".", "/")


def _read_sysctl(root: Path, name: str) -> str | None:
    text = read_text(_sysctl_path(root, name))
    return None if text is None else " ".join(text.split())


def _loaded(root: Path, modules: str, wanted: Sequence[str]) -> frozenset[str]:
    """Return the wanted modules that are loaded, or built in: those are listed only in /sys/module."""
    names = {line.split()[0] for line in modules.splitlines() if line}
    return frozenset(name for name in wanted if name in names or (root / "sys/module" / name).exists())


def _resolves(hostname: str) -> bool:
    try:
        socket.getaddrinfo(hostname, None)
    except OSError:
        return False
    return True


def _synchronised(run: Run) -> bool:
    code, out, _ = run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    return bool(code) or str(out).strip() != "no"
