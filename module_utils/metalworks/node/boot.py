"""What acts on a machine at boot besides this role's own files: it can undo what was set now.

Only files below `root` are read, so that it is known before the first boot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible.module_utils.metalworks.common.files import read_others_text

# Programs that make swap at boot, by the service that runs them: of Raspberry Pi OS up to 12, zram-tools
# (Debian), zram-config (Ubuntu), Armbian, zram-swap (github.com/foundObjects/zram-swap), and two that make
# swap files when they are needed.
SWAP_SERVICES = (
    *("dphys-swapfile", "zramswap", "zram-config", "armbian-zram-config", "zram-swap"),
    *("swapspace", "systemd-swap"),
)
UNIT_FOLDERS = (
    *("etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system"),
    *("usr/lib/systemd/system", "lib/systemd/system"),
    *("run/systemd/generator.early", "run/systemd/generator", "run/systemd/generator.late"),
)
CONFIG_FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
# rpi-swap of Raspberry Pi OS 13 (github.com/raspberrypi/rpi-swap) is a generator with its own configuration.
RPI_SWAP = "usr/lib/systemd/system-generators/rpi-swap-generator"
RPI_SWAP_FILE = "etc/rpi/swap.conf.d/90-metalworks.conf"
RPI_SWAP_OFF = "# Written by Ansible (role node).\n[Main]\nMechanism=none\n"


def swap_units(root: Path) -> list[str]:
    """Return the units that turn swap on at boot and are not masked, without those that come from fstab."""
    found = {
        path.name
        for folder in UNIT_FOLDERS
        for path in _listed(root / folder, "*.swap")
        if "SourcePath=/etc/fstab" not in (_text(path) or "")
    }
    found |= {f"dev-{device}.swap" for device in _zram_devices(root)}
    found |= {f"{name}.service" for name in SWAP_SERVICES if _is_installed(root, name)}
    return sorted(unit for unit in found if not _is_masked(root, unit))


def rpi_swap_acts(root: Path) -> bool:
    """Return whether rpi-swap makes swap at boot: it is installed, and this role has not turned it off."""
    return (root / RPI_SWAP).exists() and _text(root / RPI_SWAP_FILE) != RPI_SWAP_OFF


def scripts_with_swap(root: Path) -> list[str]:
    """Return the scripts of the boot in which somebody calls swapon."""
    return [name for name in ("etc/rc.local", "etc/crontab") if "swapon" in (_text(root / name) or "")]


def later_sysctls(root: Path, own: str, wanted: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Parameters that a file sets to another value after the file `own`: {name: (value, path)}.

    systemd-sysctl reads the files of all folders in the order of their names; of those with one name, that of
    the first folder (sysctl.d(5)).
    """
    files: dict[str, Path] = {}
    for folder in CONFIG_FOLDERS:
        for path in _listed(root / folder / "sysctl.d", "*.conf"):
            files.setdefault(path.name, path)
    set_to: dict[str, tuple[str, str]] = {}
    for name in sorted(files):
        if name <= Path(own).name:
            continue
        for key, value in _assignments(_text(files[name]) or ""):
            if key in wanted:
                set_to[key] = (value, str(files[name].relative_to(root)))
    return {key: said for key, said in set_to.items() if said[0] != wanted[key]}


def blocked_modules(root: Path, modules: Sequence[str]) -> dict[str, str]:
    """Modules that a file of modprobe keeps from being loaded at boot: {module: path}."""
    blocked: dict[str, str] = {}
    for folder in CONFIG_FOLDERS:
        for path in _listed(root / folder / "modprobe.d", "*.conf"):
            for line in (_text(path) or "").splitlines():
                words = line.replace("-", "_").split()
                no = words[:1] == ["blacklist"] or (
                    words[:1] == ["install"] and words[2:3] and words[2].endswith(("/true", "/false"))
                )
                if no and words[1] in modules:
                    blocked.setdefault(words[1], str(path.relative_to(root)))
    return blocked


def _zram_devices(root: Path) -> Iterator[str]:
    """Yield the devices of which zram-generator makes swap: its sections without a mount point."""
    for folder in CONFIG_FOLDERS:
        main = root / folder / "systemd" / "zram-generator.conf"
        for path in (main, *_listed(main.with_name("zram-generator.conf.d"), "*.conf")):
            for section in re.split(r"^\s*\[", _text(path) or "", flags=re.MULTILINE)[1:]:
                name, _, body = section.partition("]")
                if name.startswith("zram") and not re.search(
                    r"^\s*(mount-point|fs-type)\s*=", body, re.MULTILINE
                ):
                    yield name


def _is_installed(root: Path, service: str) -> bool:
    places = (*(f"{folder}/{service}.service" for folder in UNIT_FOLDERS), f"etc/init.d/{service}")
    return any((root / place).exists() for place in (*places, f"usr/sbin/{service}"))


def _is_masked(root: Path, unit: str) -> bool:
    place = root / "etc/systemd/system" / unit
    return place.is_symlink() and place.readlink() == Path(os.devnull)


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith(("#", ";")):
            yield key.strip().lstrip("-").replace("/", "."), " ".join(value.split())


def _listed(folder: Path, pattern: str) -> Iterable[Path]:
    return sorted(folder.glob(pattern))


def _text(path: Path) -> str | None:
    """Return the text of a file; None if it has none, as a masked unit, which is a link to /dev/null."""
    try:
        return read_others_text(path) if path.is_file() else None
    except OSError:
        return None
