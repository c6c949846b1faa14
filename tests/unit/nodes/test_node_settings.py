"""node_settings: what is planned for which machine, and that a second look finds nothing to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import library.nodes.node_settings as module
import pytest
from ansible.module_utils.metalworks.node.settings import (
    HEADER,
    MODULES_FILE,
    SYSCTL_FILE,
    Found,
    Wanted,
    apply,
    plan,
    read,
    warnings,
)
from tests.support.modules import run_module

FSTAB = "UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n# UUID=3 none swap sw 0 0\n"
WANTED = Wanted({"net.ipv4.ip_forward": "1", "fs.inotify.max_user_instances": "512"}, ["br_netfilter"])
READY = {
    "in_container": False,
    "sysctls": {"net.ipv4.ip_forward": "1", "fs.inotify.max_user_instances": "8192"},
    "modules": frozenset(["br_netfilter"]),
    "files": {
        SYSCTL_FILE: f"{HEADER}fs.inotify.max_user_instances = 512\nnet.ipv4.ip_forward = 1\n",
        MODULES_FILE: f"{HEADER}br_netfilter\n",
        "etc/fstab": FSTAB,
        "etc/hosts": "127.0.0.1 localhost\n",
    },
}
SWAPLESS = Wanted(WANTED.sysctls, WANTED.modules, swap_off=True)

CASES: dict[str, tuple[Wanted, dict[str, Any], list[str]]] = {
    "a_ready_machine_is_left_alone": (WANTED, {}, []),
    "a_higher_limit_stays": (
        WANTED,
        {"sysctls": {**READY["sysctls"], "fs.inotify.max_user_instances": "512"}},
        [],
    ),
    "a_lower_limit_is_raised": (
        WANTED,
        {"sysctls": {**READY["sysctls"], "fs.inotify.max_user_instances": "128"}},
        ["Set fs.inotify.max_user_instances to 512"],
    ),
    "a_parameter_that_differs_is_set": (
        WANTED,
        {"sysctls": {**READY["sysctls"], "net.ipv4.ip_forward": "0"}},
        ["Set net.ipv4.ip_forward to 1"],
    ),
    "a_module_is_loaded_before_its_parameters": (
        WANTED,
        {
            "modules": frozenset(),
            "sysctls": {"net.ipv4.ip_forward": None, "fs.inotify.max_user_instances": "512"},
        },
        ["Load the kernel module br_netfilter", "Set net.ipv4.ip_forward to 1"],
    ),
    "a_container_sets_only_what_is_its_own": (
        WANTED,
        {
            "in_container": True,
            "modules": frozenset(),
            "sysctls": {"net.ipv4.ip_forward": "0", "fs.inotify.max_user_instances": "1"},
            "files": dict.fromkeys(READY["files"]),
        },
        ["Keep the kernel parameters over a boot", "Set net.ipv4.ip_forward to 1"],
    ),
    "swap_stays_unless_asked": (WANTED, {"swap_used": True}, []),
    "swap_goes_now_and_at_boot": (
        SWAPLESS,
        {"swap_used": True},
        ["Keep swap off over a boot", "Turn swap off"],
    ),
    "a_container_has_no_swap_of_its_own": (
        SWAPLESS,
        {
            "in_container": True,
            "swap_used": True,
            "files": {**READY["files"], SYSCTL_FILE: f"{HEADER}net.ipv4.ip_forward = 1\n"},
        },
        [],
    ),
    "a_host_name_that_does_not_resolve_is_added": (
        WANTED,
        {"hostname_resolves": False, "hostname": "metal-1"},
        ["Make the host name metal-1 resolvable"],
    ),
}


@pytest.mark.parametrize(("wanted", "differs", "sentences"), CASES.values(), ids=CASES)
def test_plan(wanted: Wanted, differs: dict[str, Any], sentences: list[str]) -> None:
    assert [step.sentence for step in plan(wanted, Found(**{**READY, **differs}))] == sentences


def test_only_the_swap_lines_are_taken_out_of_fstab() -> None:
    step = plan(SWAPLESS, Found(**READY))[0]
    assert step.text == "UUID=1 / ext4 defaults 0 1\n# UUID=2 none swap sw 0 0\n# UUID=3 none swap sw 0 0\n"


def test_the_last_line_of_fstab_may_have_neither_options_nor_an_end() -> None:
    """mount(8) takes both: swap would be on again after a boot."""
    fstab = "UUID=1 / ext4\n\n#UUID=2 none swap sw\n/swap none swap"
    found = Found(**{**READY, "files": {**READY["files"], "etc/fstab": fstab}}, swap_used=True)
    assert plan(SWAPLESS, found)[0].text == "UUID=1 / ext4\n\n#UUID=2 none swap sw\n# /swap none swap"
    assert not [said for said in warnings(SWAPLESS, found) if "is not known" in said]


def test_an_unsynchronised_clock_is_told_except_in_a_container() -> None:
    assert "chrony" in warnings(WANTED, Found(**READY, time_synchronised=False))[0]
    assert not warnings(WANTED, Found(**{**READY, "in_container": True}, time_synchronised=False))


def test_a_limit_of_the_computer_under_a_container_is_told() -> None:
    low = {"net.ipv4.ip_forward": "1", "fs.inotify.max_user_instances": "128"}
    (sentence,) = warnings(WANTED, Found(**{**READY, "in_container": True, "sysctls": low}))
    assert "run `sysctl -w fs.inotify.max_user_instances=512` there" in sentence


def machine(command: list[str]) -> tuple[int, str, str]:
    """A virtual machine whose clock is right and whose modprobe works."""
    return (1, "", "") if command[0] == "systemd-detect-virt" else (0, "yes\n", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, value in {"net/ipv4/ip_forward": "0", "fs/inotify/max_user_instances": "128"}.items():
        path = tmp_path / "proc/sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    (tmp_path / "proc/modules").write_text("overlay 1 0\n")
    (tmp_path / "sys/module/br_netfilter").mkdir(parents=True)
    return tmp_path


def test_what_was_applied_is_found_by_the_next_look(root: Path) -> None:
    apply(machine, plan(WANTED, read(machine, WANTED, root)), root)
    assert plan(WANTED, read(machine, WANTED, root)) == []
    assert (root / "proc/sys/net/ipv4/ip_forward").read_text() == "1\n"


def test_the_module_runs_twice_and_changes_once(root: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module, "runner", lambda _: machine)
    params = {"modules": ["overlay"], "sysctls": {"net.ipv4.ip_forward": 1}}
    assert run_module("node_settings", params, capsys, check=True)["changed"]
    assert run_module("node_settings", params, capsys)["changed"]
    assert not run_module("node_settings", params, capsys)["changed"]


def test_a_file_in_an_older_encoding_is_read_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People's comments in /etc may be in Latin-1, and Python would take them for no text."""
    monkeypatch.setattr("socket.gethostname", lambda: "mühle")
    for name in ("fstab", "hosts"):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / name).write_bytes(b"# f\xfcr alle\nUUID=2 none swap sw 0 0\n")
    (tmp_path / "etc/sysctl.d").mkdir()
    (tmp_path / "etc/sysctl.d/99-zz.conf").write_bytes(b"# f\xfcr uns\nnet.ipv4.ip_forward = 0\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/swaps").write_text("Filename\n/dev/sda2\n")
    found = read(lambda _: (1, "", ""), SWAPLESS, tmp_path)
    assert found.later_sysctls == {"net.ipv4.ip_forward": ("0", "etc/sysctl.d/99-zz.conf")}
    steps = [step for step in plan(SWAPLESS, found) if step.file in ("etc/fstab", "etc/hosts")]
    apply(lambda _: (0, "", ""), steps, tmp_path)
    assert (tmp_path / "etc/fstab").read_bytes().startswith(b"# f\xfcr alle\n# ")
    assert (tmp_path / "etc/hosts").read_bytes().startswith(b"# f\xfcr alle\n")
    assert (tmp_path / "etc/hosts").read_bytes().endswith("127.0.1.1 mühle\n".encode())
