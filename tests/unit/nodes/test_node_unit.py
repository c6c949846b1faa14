"""node_unit: what is planned for which machine, what it does there, and what no output shows."""

from __future__ import annotations

import grp
import json
import os
import pwd
from pathlib import Path
from typing import Any

import library.nodes.node_unit as module
import pytest
from ansible.module_utils.metalworks.common.files import ABSENT, File
from ansible.module_utils.metalworks.common.systemd import Unit
from library.nodes.node_unit import Found, Wanted, plan, without_secrets
from tests.support.modules import run_module

UNIT = "cleaning.timer"
OWN, SETTINGS, FOLDER = (
    Path(f"/etc/systemd/system/{UNIT}"),
    Path("/etc/cleaning.conf"),
    Path("/var/lib/cleaning"),
)
FILES = {OWN: File("[Timer]\n", 0o644), SETTINGS: File("a=1\n", 0o640, 0, 7)}
WANTED = Wanted(UNIT, FILES, [FOLDER])
GONE = Wanted(UNIT, dict.fromkeys(FILES, ABSENT), present=False)
UP = Unit(UNIT, load="loaded", active="active", enabled=True)
READY = {
    "unit": UP,
    "files": {OWN: File("[Timer]\n", 0o644, 0, 0), SETTINGS: File("a=1\n", 0o640, 0, 7)},
    "folders": {FOLDER: 0o755},
}
BARE = {"unit": Unit(UNIT), "files": dict.fromkeys(FILES, ABSENT), "folders": {FOLDER: None}}
STOPPED = Unit(UNIT, load="loaded", enabled=True)
WRITE_OWN, WRITE_SETTINGS, RELOAD = f"Write {OWN}", f"Write {SETTINGS}", "Reload systemd"
START, RESTART, ENABLE = f"Start {UNIT}", f"Restart {UNIT}", f"Enable {UNIT}"


def having(path: Path, **differs: Any) -> dict[str, Any]:
    """Files of a ready machine, of which one differs."""
    return {"files": {**READY["files"], path: READY["files"][path]._replace(**differs)}}


CASES: dict[str, tuple[Wanted, dict[str, Any], list[str]]] = {
    "a_ready_machine_is_left_alone": (WANTED, {}, []),
    "a_bare_machine_gets_all_in_the_order_in_which_it_works": (
        WANTED,
        BARE,
        [f"Make the folder {FOLDER}", WRITE_OWN, WRITE_SETTINGS, RELOAD, START, ENABLE],
    ),
    "a_file_of_units_is_read_by_systemd": (WANTED, having(OWN, text=""), [WRITE_OWN, RELOAD, RESTART]),
    "another_file_is_not": (WANTED, having(SETTINGS, text="a=2\n"), [WRITE_SETTINGS, RESTART]),
    "a_file_that_others_may_read_is_closed": (
        WANTED,
        having(SETTINGS, mode=0o644),
        [WRITE_SETTINGS, RESTART],
    ),
    "a_file_of_another_group_is_taken": (WANTED, having(SETTINGS, group=0), [WRITE_SETTINGS, RESTART]),
    "an_owner_that_nobody_asked_for_stays": (WANTED, having(OWN, owner=1000, group=1000), []),
    "a_unit_that_takes_changes_itself_is_not_restarted": (
        Wanted(UNIT, FILES, [FOLDER], restart=False),
        having(OWN, text=""),
        [WRITE_OWN, RELOAD],
    ),
    "what_an_interrupted_run_wrote_is_read_by_systemd": (
        WANTED,
        {"unit": Unit(UNIT, load="loaded", active="active", enabled=True, outdated=True)},
        [RELOAD, RESTART],
    ),
    "a_stopped_unit_is_started": (WANTED, {"unit": STOPPED}, [START]),
    "a_stopped_unit_with_another_file_is_started_once": (
        WANTED,
        {"unit": STOPPED, **having(SETTINGS, text="")},
        [WRITE_SETTINGS, START],
    ),
    "a_failed_unit_is_started": (
        WANTED,
        {"unit": Unit(UNIT, load="loaded", active="failed", enabled=True)},
        [START],
    ),
    "a_unit_that_systemd_is_about_to_start_again_is_left_alone": (
        WANTED,
        {"unit": Unit(UNIT, load="loaded", active="activating", sub="auto-restart", enabled=True)},
        [],
    ),
    "a_unit_that_no_boot_starts_is_enabled": (
        WANTED,
        {"unit": Unit(UNIT, load="loaded", active="active")},
        [ENABLE],
    ),
    "the_rights_of_a_folder_are_set": (WANTED, {"folders": {FOLDER: 0o700}}, [f"Make the folder {FOLDER}"]),
    "all_goes_before_the_files_that_describe_it": (
        GONE,
        {},
        [f"Stop {UNIT}", f"Disable {UNIT}", f"Remove {OWN}", f"Remove {SETTINGS}", RELOAD],
    ),
    "what_an_interrupted_removal_left_goes": (
        GONE,
        {"unit": Unit(UNIT, load="loaded"), "files": {OWN: ABSENT, SETTINGS: READY["files"][SETTINGS]}},
        [f"Remove {SETTINGS}"],
    ),
    "a_unit_without_the_files_is_somebody_elses": (GONE, {"files": BARE["files"]}, []),
    "nothing_is_taken_from_a_bare_machine": (GONE, BARE, []),
}


@pytest.mark.parametrize(("wanted", "differs", "sentences"), CASES.values(), ids=CASES)
def test_plan(wanted: Wanted, differs: dict[str, Any], sentences: list[str]) -> None:
    assert [step.sentence for step in plan(wanted, Found(**{**READY, **differs}))] == sentences


class Machine:
    """A machine whose systemd knows one unit, and writes down what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unit = folder / "system" / UNIT
        self.active = self.enabled = self.outdated = False
        self.told: list[str] = []
        self.failing = ""
        self.journal: list[str] = []

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        if command[0] == "journalctl":
            return 0, "\n".join(self.journal), ""
        word = command[1]
        if word == "show":
            state = {
                "LoadState": "loaded" if self.unit.exists() else "not-found",
                "ActiveState": "active" if self.active else "inactive",
                "UnitFileState": "enabled" if self.enabled else "disabled",
                "NeedDaemonReload": "yes" if self.outdated else "no",
            }
            return 0, "\n".join(f"{key}={value}" for key, value in state.items()), ""
        self.told.append(word)
        if word == self.failing:
            return 1, "", f"Job for {UNIT} failed.\n"
        self.active = {"start": True, "restart": True, "stop": False}.get(word, self.active)
        self.enabled = {"enable": True, "disable": False}.get(word, self.enabled)
        self.outdated = self.outdated and word != "daemon-reload"
        return 0, "", ""

    def params(self, **others: Any) -> dict[str, Any]:
        """A timer, a secret file that belongs to this process's group, and a folder."""
        return {
            "unit": UNIT,
            "files": [
                {"path": str(self.unit), "content": "[Timer]\n"},
                {
                    "path": str(self.folder / "deep" / "er" / "settings"),
                    "content": "# Of the cleaner\n[Upload]\nURL=http://ada:correct%20horse@h.example/upload?a=1#\n",
                    "mode": "0640",
                    "owner": pwd.getpwuid(os.getuid()).pw_name,
                    "group": grp.getgrgid(os.getgid()).gr_name,
                    "secret": True,
                },
            ],
            "folders": [str(self.folder / "data")],
            **others,
        }


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    monkeypatch.setattr(module, "runner", lambda _: found)
    monkeypatch.setattr(module, "UNITS", tmp_path / "system")
    return found


def modes(folder: Path) -> dict[str, str]:
    """The rights of all below a folder."""
    return {str(path.relative_to(folder)): oct(path.stat().st_mode & 0o7777) for path in folder.rglob("*")}


def test_it_changes_once_and_takes_away_once(machine: Machine, capsys: Any) -> None:
    expected = run_module("node_unit", machine.params(), capsys, check=True)
    assert expected["changed"]
    assert (modes(machine.folder), machine.told) == ({}, [])

    old = os.umask(0o077)
    try:
        answer = run_module("node_unit", machine.params(), capsys)
    finally:
        os.umask(old)
    assert answer["actions"] == expected["actions"]
    assert machine.told == ["daemon-reload", "start", "enable"]
    made = {
        **dict.fromkeys(("system", "data", "deep", "deep/er"), "0o755"),
        **{f"system/{UNIT}": "0o644", "deep/er/settings": "0o640"},
    }
    assert modes(machine.folder) == made
    assert not run_module("node_unit", machine.params(), capsys)["changed"]

    absent = machine.params(state="absent")
    assert run_module("node_unit", absent, capsys, check=True)["changed"]
    assert modes(machine.folder) == made
    assert run_module("node_unit", absent, capsys)["changed"]
    assert machine.told[3:] == ["stop", "disable", "daemon-reload"]
    assert not [path for path in machine.folder.rglob("*") if path.is_file()]
    assert not run_module("node_unit", absent, capsys)["changed"]


def test_files_that_systemd_has_not_read_are_read_by_it(machine: Machine, capsys: Any) -> None:
    run_module("node_unit", machine.params(), capsys)
    machine.outdated, machine.told = True, []
    assert run_module("node_unit", machine.params(), capsys)["changed"]
    assert machine.told == ["daemon-reload", "restart"]
    assert not run_module("node_unit", machine.params(), capsys)["changed"]


def test_nothing_is_done_without_the_program_that_it_needs(machine: Machine, capsys: Any) -> None:
    program = machine.folder / "program"
    params = machine.params(needs=str(program))
    answer = run_module("node_unit", params, capsys)
    assert (answer["missing"], answer["changed"], machine.told) == (True, False, [])
    program.touch()
    answer = run_module("node_unit", params, capsys)
    assert (answer["missing"], answer["changed"]) == (False, True)


def test_the_diff_shows_what_is_no_secret(machine: Machine, capsys: Any) -> None:
    path = machine.folder / "deep" / "er" / "settings"
    path.parent.mkdir(parents=True)
    path.write_text("former")
    answer = run_module("node_unit", machine.params(), capsys)
    shown = {entry["after_header"]: (entry["before"], entry["after"]) for entry in answer["diff"]}
    assert shown == {
        str(machine.unit): ("", "[Timer]\n"),
        str(path): ("(a secret content)\n", "(a new secret content)\n"),
        UNIT: ("", "".join(f"{sentence}\n" for sentence in answer["actions"])),
    }
    assert "horse" not in json.dumps(answer)


def test_a_unit_that_does_not_start_is_explained_without_secrets(machine: Machine, capsys: Any) -> None:
    path = machine.folder / "deep" / "er" / "settings"
    path.parent.mkdir(parents=True)
    path.write_text("URL=http://ada:battery-staple@h.example\n")
    machine.failing = "start"
    machine.journal = [
        "Upload to http://ada:correct%20horse@h.example/upload failed with code 401",
        "(battery-staple) was the former one.",
        "systemd-journal-upload.service: Failed with result 'exit-code'.",
    ]
    answer = run_module("node_unit", machine.params(), capsys)
    assert answer["failed"]
    assert answer["msg"].splitlines() == [
        f"{UNIT} is not as wanted. systemctl start {UNIT} failed: Job for {UNIT} failed.",
        f"The journal of {UNIT} ends with:",
        "  Upload to <secret> failed with code 401",
        "  <secret> was the former one.",
        "  systemd-journal-upload.service: Failed with result 'exit-code'.",
    ]
    assert not [word for word in ("horse", "staple") if word in json.dumps(answer)]


@pytest.mark.parametrize(
    ("text", "secret", "shown"),
    [
        ("password is hunter22.", "hunter22", "password is <secret>"),
        ("cannot parse a b@c/d! here", "URL=http://u:a%20b%40c%2Fd%21@h", "cannot parse <secret> here"),
        ("rows  of words", "x=%20%20", "rows  of words"),
        ("Upload by cleaner", "# cleaner\n[Upload]\n; by\n", "Upload by cleaner"),
        ("nothing is secret", "", "nothing is secret"),
    ],
)
def test_words_that_hold_a_part_of_a_secret_are_left_out(text: str, secret: str, shown: str) -> None:
    assert without_secrets(text, [secret]) == shown


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a_file_without_content": ({"content": None}, "has no content"),
    "a_mode_that_yaml_took_for_a_number": ({"mode": 420}, "The mode 420 of"),
    "a_group_that_does_not_exist": ({"group": "nobodys-group"}, "is to belong to nobodys-group, which this"),
}


@pytest.mark.parametrize(("differs", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_before_anything_changes(
    differs: dict[str, Any], message: str, machine: Machine, capsys: Any
) -> None:
    params = machine.params()
    params["files"][1].update(differs)
    answer = run_module("node_unit", params, capsys)
    assert answer["failed"]
    assert message in answer["msg"]
    assert (modes(machine.folder), machine.told) == ({}, [])


def test_check_mode_takes_a_group_that_a_package_is_to_bring(machine: Machine, capsys: Any) -> None:
    params = machine.params()
    params["files"][1]["group"] = "nobodys-group"
    assert f"Start {UNIT}" in run_module("node_unit", params, capsys, check=True)["actions"]


def test_a_folder_in_the_place_of_a_file_is_named(machine: Machine, capsys: Any) -> None:
    machine.unit.mkdir(parents=True)
    answer = run_module("node_unit", machine.params(), capsys)
    assert answer["failed"]
    assert str(machine.unit) in answer["msg"]
