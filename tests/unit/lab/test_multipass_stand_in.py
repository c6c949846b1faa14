"""The stand-in answers in multipass's shapes, and makes of user data what cloud-init makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.multipass.answers import (
    read_info,
    read_list,
    read_version,
    size_in_bytes,
)
from lab.multipass import answers, cloud_init, commands, records, sizes
from lab.multipass.answers import Failure
from lab.multipass.records import Record

ROOT = Path(__file__).resolve().parents[3]
GIB = 1 << 30
VM = Record("vm", "24.04 LTS", "172.30.10.11", 2, 4 * GIB, 20 * GIB, mounts={"/srv": "/home/ada"})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service without instances, whose Docker does not answer."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    return tmp_path


# Shapes: what the module reads is what the stand-in writes.


@pytest.mark.parametrize("state", ["Running", "Stopped", "Suspended", "Deleted"])
def test_list_and_info_are_read_by_the_module(state: str) -> None:
    listed = answers.to_json(answers.list_answer([(VM, state)]))
    told = answers.to_json(answers.info_answer([(VM, state)]))
    (one,) = read_list(lambda *_: (0, listed, ""))
    other = read_info(lambda *_: (0, told, ""), "vm")
    assert one.state == other.state == state.lower()
    assert one.ipv4 == other.ipv4 == (("172.30.10.11",) if state == "Running" else ())
    assert other.mounts == {"/srv": "/home/ada"}


def test_instance_without_an_address_shows_the_word_of_the_real_one() -> None:
    lost = replace(VM, address="")
    assert answers.details(lost, "Running")["ipv4"] == ["N/A"]
    assert answers.list_answer([(lost, "Running")])["list"][0]["ipv4"] == ["N/A"]
    assert answers.details(lost, "Stopped")["ipv4"] == []
    (read,) = read_list(lambda *_: (0, answers.to_json(answers.list_answer([(lost, "Running")])), ""))
    assert (read.state, read.ipv4) == ("running", ())


def test_json_of_the_documented_keys() -> None:
    told = answers.details(VM, "Running")
    assert set(told) == {
        *("cpu_count", "disks", "image_hash", "image_release", "ipv4", "load"),
        *("memory", "mounts", "release", "snapshot_count", "state"),
    }
    assert (told["cpu_count"], told["disks"]["sda1"]["total"]) == ("2", str(20 * GIB))


# Sizes: the stand-in's own, of multipass's tests/test_memory_size.cpp. The module has to understand them.


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("4G", 4 * GIB, "4.0GiB"),
        ("4.0GiB", 4 * GIB, "4.0GiB"),
        ("1536M", 1536 << 20, "1.5GiB"),
        ("512MB", 512 << 20, "512.0MiB"),
        ("2.5k", 2560, "2.5KiB"),
        ("1023", 1023, "1023B"),
    ],
)
def test_size_is_read_and_printed_as_multipass_does(text: str, size: int, shown: str) -> None:
    assert (sizes.parse(text), sizes.show(size)) == (size, shown)
    assert (size_in_bytes(text), size_in_bytes(shown)) == (size, size)


@pytest.mark.parametrize("text", ["", "G", "-1G", "4 gigs", "1.5", "1T"])
def test_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid memory size"):
        sizes.parse(text)


# The command line.


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    program = ROOT / "lab" / "multipass" / "bin" / "multipass"
    return subprocess.run(
        [sys.executable, str(program), *words], capture_output=True, text=True, check=False, **options
    )


def test_version_is_told_without_a_service(state: Path) -> None:
    done = run("version", "--format", "json")
    assert done.returncode == 0
    assert read_version(lambda *_: (0, done.stdout, "")) == {"multipass": "1.16.1", "multipassd": "1.16.1"}


@pytest.mark.parametrize("words", [("list",), ("info", "vm"), ("launch", "--name", "vm"), ("start", "vm")])
def test_silent_service_is_told_in_multipass_words(state: Path, words: tuple[str, ...]) -> None:
    done = run(*words, "--format", "json") if words[0] in ("list", "info") else run(*words)
    assert done.returncode == answers.DAEMON_FAIL
    assert done.stderr == f"{words[0]} failed: cannot connect to the multipass socket\n"
    assert records.read_all(records.state_folder()) == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["frobnicate"], 1, "is not a multipass command"),
        (["launch", "--name", "vm_1"], 2, "launch failed: Invalid instance name supplied: vm_1"),
        (
            ["launch", "--name", "vm", "--memory", "100M"],
            2,
            "launch failed: Invalid memory size supplied: 100M.",
        ),
        (["launch", "--name", "vm", "warty"], 2, 'launch failed: Unable to find an image matching "warty"'),
        (["launch", "--name", "vm", "--cloud-init", "/nowhere"], 1, "cannot read cloud-init file"),
        (["get", "local.vm.colour"], 1, "Unrecognized settings key: 'local.vm.colour'"),
        (["set", "local.vm.cpus"], 1, "Need exactly one key-value pair"),
        (["exec", "vm"], 1, "Wrong number of arguments"),
        (["delete"], 1, "Name argument or --all is required"),
    ],
)
def test_wrong_words_are_refused(
    state: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert commands.main(words) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "value", "result"),
    [("cpus", "4", 4), ("memory", "8G", 8 * GIB), ("disk", "20G", 20 * GIB), ("disk", "40G", 40 * GIB)],
)
def test_setting_is_taken(setting: str, value: str, result: int) -> None:
    assert commands.new_value(VM, setting, f"local.vm.{setting}", value) == result


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("cpus", "0", "Need a positive integer"),
        ("memory", "100M", "Memory less than 512M minimum not allowed"),
        ("memory", "much", "not a valid memory size"),
        ("disk", "10G", "Invalid setting 'local.vm.disk=10G': Disk can only be expanded"),
    ],
)
def test_setting_is_refused(setting: str, value: str, said: str) -> None:
    with pytest.raises(Failure, match=said) as refusal:
        commands.new_value(VM, setting, f"local.vm.{setting}", value)
    assert refusal.value.code == 1


@pytest.mark.parametrize(
    ("words", "parted"),
    [
        ("vm -- ls -l", (["vm"], ["ls", "-l"])),
        ("vm ls", (["vm"], ["ls"])),
        ("-d /tmp vm -- ls", (["-d", "/tmp", "vm"], ["ls"])),
    ],
)
def test_command_is_parted_from_multipass_options(words: str, parted: tuple[list[str], list[str]]) -> None:
    assert commands.split_command(words.split()) == parted


# What is remembered.


def test_record_is_kept_and_forgotten(tmp_path: Path) -> None:
    with records.locked(tmp_path):
        records.write(tmp_path, VM)
    assert records.read_all(tmp_path) == {"vm": VM}
    records.forget(tmp_path, "vm")
    assert records.read_all(tmp_path) == {}


def test_service_of_another_name_has_instances_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = records.state_folder()
    monkeypatch.setenv("METALWORKS_MULTIPASS", "other")
    assert records.state_folder() != here


# cloud-init.


def boot(root: Path, text: str) -> str:
    """Run the files and commands of a first boot below a folder, as far as that needs no root."""
    data = cloud_init.parse(text)
    lines: list[str] = []
    for file in data.get("write_files") or []:
        lines += cloud_init.write_file({**file, "path": f"{root}{file['path']}"})
    lines += [cloud_init.run(command) for command in data.get("runcmd") or []]
    done = subprocess.run(
        ["/bin/sh", "-eu"], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_files_are_written_with_any_content(tmp_path: Path) -> None:
    files = [
        {"path": "/etc/a b", "content": "it's $HOME\n", "permissions": "0600"},
        {"path": "/etc/coded", "content": "aGVsbG8=", "encoding": "b64"},
        {"path": "/etc/coded", "content": "!", "append": True},
    ]
    boot(tmp_path, json.dumps({"write_files": files}))
    assert (tmp_path / "etc/a b").read_text() == "it's $HOME\n"
    assert (tmp_path / "etc/a b").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/coded").read_text() == "hello!"


def test_command_is_a_text_for_a_shell_or_a_list_of_words(tmp_path: Path) -> None:
    assert boot(tmp_path, 'runcmd: ["echo a | tr a b", [echo, "c  d", 3]]') == "b\nc  d 3\n"


def test_default_user_is_made_unless_users_leave_it_out() -> None:
    assert [user["name"] for user in cloud_init.users({})] == ["ubuntu"]
    assert [user["name"] for user in cloud_init.users({"users": ["default", {"name": "ada"}]})] == [
        "ubuntu",
        "ada",
    ]
    assert [user["name"] for user in cloud_init.users({"users": [{"name": "ada"}]})] == ["ada"]


def test_keys_at_the_top_are_the_default_users() -> None:
    (user,) = cloud_init.users({"ssh_authorized_keys": ["ssh-ed25519 AAAA"]})
    assert user["ssh_authorized_keys"] == ["ssh-ed25519 AAAA"]


def test_user_is_made_with_group_and_rights() -> None:
    lines = "\n".join(cloud_init.add_user({"name": "ada", "primary_group": "staff", "groups": "adm, sudo"}))
    assert "useradd --create-home --shell /bin/sh --gid staff --groups adm,sudo ada" in lines


def test_unknown_key_ends_in_a_recovered_error_as_with_cloud_init() -> None:
    data = cloud_init.parse("#cloud-config\nuser: []\n")
    assert cloud_init.unknown_keys(data) == ["user"]
    assert "${failed:-degraded}" in cloud_init.script(data, name="vm")
    assert "${failed:-done}" in cloud_init.script({}, name="vm")


def test_launch_refuses_user_data_that_is_none(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "user-data").write_text("a: [")
    assert commands.main(["launch", "--name", "vm", "--cloud-init", str(tmp_path / "user-data")]) == 2
    assert "launch failed: error loading cloud-init config" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a: [", "- a list"])
def test_user_data_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(cloud_init.UserDataError, match="error loading cloud-init config"):
        cloud_init.parse(text)


@pytest.mark.parametrize(
    ("result", "code", "says"),
    [("done", 0, "done"), ("degraded", 2, "done"), ("error", 1, "error"), (None, 0, "running")],
)
def test_status_is_told_with_cloud_inits_exit_codes(
    tmp_path: Path, result: str | None, code: int, says: str
) -> None:
    program = tmp_path / "cloud-init"
    program.write_text(cloud_init.STATUS_COMMAND.replace(cloud_init.RESULT, str(tmp_path / "result")))
    if result:
        (tmp_path / "result").write_text(f"{result}\n")
    done = subprocess.run(["/bin/sh", str(program), "status"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, f"status: {says}\n")
