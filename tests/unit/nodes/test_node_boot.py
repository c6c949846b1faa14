"""What turns swap on at boot, and what undoes kernel parameters there, is found in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.node import boot
from ansible.module_utils.metalworks.node.settings import SYSCTL_FILE, Wanted, apply, plan, read, warnings

SWAPS = "Filename Type Size Used Priority\n"
ON = {"proc/swaps": f"{SWAPS}/var/swap file 524284 0 -2\n"}
HOSTS = {"etc/hosts": "127.0.0.1 localhost\n"}
GENERATOR = "usr/lib/systemd/zram-generator.conf"
SWAPLESS = Wanted({}, (), swap_off=True)


def machine(root: Path, files: dict[str, str | None]) -> Path:
    """A machine's files; None stands for a link to /dev/null, by which a unit is masked."""
    for name, text in {**HOSTS, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/dev/null") if text is None else path.write_text(text)
    return root


def run(command: list[str]) -> tuple[int, str, str]:
    """No container, and no program that answers."""
    return 1, "", ""


def steps(root: Path, wanted: Wanted = SWAPLESS) -> list[str]:
    """What is planned about swap."""
    planned = [step.sentence for step in plan(wanted, read(run, wanted, root))]
    return [sentence for sentence in planned if "swap" in sentence]


@pytest.mark.parametrize(
    ("files", "units"),
    [
        ({"etc/systemd/system/dev-sda3.swap": "[Swap]\nWhat=/dev/sda3\n"}, ["dev-sda3.swap"]),
        ({"run/systemd/generator.late/dev-vda2.swap": "[Swap]\nWhat=/dev/vda2\n"}, ["dev-vda2.swap"]),
        ({"run/systemd/generator/dev-sda2.swap": "[Unit]\nSourcePath=/etc/fstab\n"}, []),
        ({"etc/init.d/dphys-swapfile": "#!/bin/sh\n"}, ["dphys-swapfile.service"]),
        ({"usr/sbin/dphys-swapfile": "#!/bin/sh\n"}, ["dphys-swapfile.service"]),
        ({"lib/systemd/system/zramswap.service": "[Service]\n"}, ["zramswap.service"]),
        ({"usr/lib/systemd/system/zram-config.service": "[Service]\n"}, ["zram-config.service"]),
        (
            {"lib/systemd/system/armbian-zram-config.service": "[Service]\n"},
            ["armbian-zram-config.service"],
        ),
        (
            {"usr/sbin/swapspace": "", "etc/systemd/system/zram-swap.service": ""},
            ["swapspace.service", "zram-swap.service"],
        ),
        ({GENERATOR: "[zram0]\nzram-size = ram / 2\n"}, ["dev-zram0.swap"]),
        ({"etc/systemd/zram-generator.conf.d/a.conf": "[zram1]\n"}, ["dev-zram1.swap"]),
        ({GENERATOR: "# nothing\n[zram0]\nmount-point = /var/cache\n[zram1]\n"}, ["dev-zram1.swap"]),
        ({GENERATOR: "[zram0]\n", "etc/systemd/system/dev-zram0.swap": None}, []),
        ({"usr/sbin/dphys-swapfile": "", "etc/systemd/system/dphys-swapfile.service": None}, []),
    ],
)
def test_what_makes_swap_at_boot_is_masked(
    files: dict[str, str | None], units: list[str], tmp_path: Path
) -> None:
    root = machine(tmp_path, {**ON, **files})
    assert boot.swap_units(root) == units
    masked = [f"Keep {unit} from turning swap on at boot" for unit in units]
    assert steps(root) == [*masked, "Turn swap off"]


def test_a_mask_of_nothing_else_is_planned_unless_swap_is_to_be_off(tmp_path: Path) -> None:
    root = machine(tmp_path, {**ON, GENERATOR: "[zram0]\n"})
    assert steps(root, Wanted({}, ())) == []


def test_swap_of_a_newer_raspberry_pi_is_configured_away(tmp_path: Path) -> None:
    root = machine(tmp_path, {boot.RPI_SWAP: "#!/bin/sh\n"})
    found = read(run, SWAPLESS, root)
    planned = [step for step in plan(SWAPLESS, found) if step.file == boot.RPI_SWAP_FILE]
    apply(run, planned, root)
    assert (root / boot.RPI_SWAP_FILE).read_text() == boot.RPI_SWAP_OFF
    assert not [step for step in plan(SWAPLESS, read(run, SWAPLESS, root)) if step.file == boot.RPI_SWAP_FILE]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**ON}, ["What turned it on is not known"]),
        ({**ON, "etc/fstab": "UUID=2 none swap sw 0 0\n"}, []),
        ({**ON, GENERATOR: "[zram0]\n"}, []),
        ({**ON, "etc/rc.local": "swapon /var/swap\n"}, ["/etc/rc.local calls swapon"]),
        ({}, []),
    ],
)
def test_swap_that_may_come_back_is_warned_of(
    files: dict[str, str | None], says: list[str], tmp_path: Path
) -> None:
    said = [
        each for each in warnings(SWAPLESS, read(run, SWAPLESS, machine(tmp_path, files))) if "wap" in each
    ]
    assert len(said) == len(says)
    assert all(part in each for part, each in zip(says, said, strict=True))


FORWARD, WATCHES = "net.ipv4.ip_forward", "fs.inotify.max_user_watches"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"etc/sysctl.d/99-hard.conf": f"{FORWARD} = 0\n"}, {FORWARD: ("0", "etc/sysctl.d/99-hard.conf")}),
        (
            {"etc/sysctl.d/99-hard.conf": f"-{FORWARD.replace('.', '/')}=0\n"},
            {FORWARD: ("0", "etc/sysctl.d/99-hard.conf")},
        ),
        ({"etc/sysctl.d/10-early.conf": f"{FORWARD} = 0\n"}, {}),
        ({"etc/sysctl.d/99-off.conf": f"# {FORWARD} = 0\n; {FORWARD} = 0\n"}, {}),
        ({"usr/lib/sysctl.d/99-a.conf": f"{FORWARD} = 0\n", "etc/sysctl.d/99-a.conf": ""}, {}),
        ({"usr/lib/sysctl.d/98-a.conf": f"{FORWARD} = 0\n", "etc/sysctl.d/99-a.conf": f"{FORWARD}=1\n"}, {}),
        ({"etc/sysctl.d/99-dead.conf": None}, {}),
    ],
)
def test_later_files_of_sysctl_are_read(files: dict[str, Any], found: dict[str, Any], tmp_path: Path) -> None:
    assert boot.later_sysctls(machine(tmp_path, files), SYSCTL_FILE, {FORWARD: "1"}) == found


def test_what_undoes_the_roles_work_at_boot_is_warned_of(tmp_path: Path) -> None:
    files = {
        "etc/sysctl.d/99-hard.conf": f"{FORWARD} = 0\n{WATCHES} = 600000\n",
        "etc/modprobe.d/hard.conf": "install br_netfilter /bin/false\nblacklist floppy\n",
    }
    wanted = Wanted({FORWARD: "1", WATCHES: "524288"}, ["br_netfilter"])
    said = warnings(wanted, read(run, wanted, machine(tmp_path, files)))
    assert [sentence.split(" ", 1)[0] for sentence in said] == [
        "/etc/sysctl.d/99-hard.conf",
        "/etc/modprobe.d/hard.conf",
    ]
    assert "sets net.ipv4.ip_forward to 0 at each boot" in said[0]


@pytest.mark.parametrize(
    ("line", "blocked"),
    [
        ("blacklist br_netfilter", True),
        ("blacklist br-netfilter", True),
        ("install br_netfilter /bin/true", True),
        ("install br_netfilter /sbin/modprobe --ignore-install br_netfilter", False),
        ("options br_netfilter a=1", False),
        ("# blacklist br_netfilter", False),
    ],
)
def test_modules_that_may_not_be_loaded_are_found(line: str, blocked: bool, tmp_path: Path) -> None:
    root = machine(tmp_path, {"etc/modprobe.d/a.conf": f"{line}\n"})
    assert bool(boot.blocked_modules(root, ["br_netfilter"])) == blocked
