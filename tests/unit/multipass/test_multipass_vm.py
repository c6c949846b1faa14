"""The way to the wanted instance, and how it is gone with a multipass that answers as documented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.multipass.answers import Instance
from ansible.module_utils.metalworks.multipass.plan import Refused, Wanted, plan
from tests.support.modules import cases, run_module

# Begins to launch, and then fails.
FAILING = """#!/bin/sh
[ "$1" = launch ] && cat >"$0.stdin" && exit 1
echo 'instance "vm" does not exist' >&2
exit 2
"""
MISSING = [2, "", 'info failed: The following errors occurred:\ninstance "vm" does not exist\n']
HOST_MEMORY = 16 << 30
STATUS = "exec vm -- cloud-init status"


def info(state: str, *addresses: str, **more: Any) -> list[Any]:
    entry = {"state": state, "ipv4": list(addresses), "image_release": "24.04 LTS", "cpu_count": "2", **more}
    return [0, json.dumps({"errors": [], "info": {"vm": entry}}), ""]


class Answers:
    """A multipass that answers as its table says, one answer after the other for the same words."""

    def __init__(self) -> None:
        self.table: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, str]] = []

    def __call__(self, arguments: list[str], stdin: str) -> list[Any]:
        words = " ".join(arguments)
        self.asked.append((words, stdin))
        answers = self.table.get(words, [[0, "", ""]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    @property
    def words(self) -> list[str]:
        """What was asked beside questions."""
        return [words for words, _ in self.asked if words.split()[0] not in ("info", "get", "exec", "help")]


@pytest.fixture
def multipass(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    monkeypatch.setattr("library.multipass.multipass_vm.POLL_SECONDS", 0.01)
    monkeypatch.setattr("library.multipass.multipass_vm.runner", lambda *_: answers)
    return answers


def run(multipass: Answers, capsys: Any, *, check: bool = False, **params: Any) -> Any:
    return run_module("multipass_vm", {"name": "vm", "timeout": 60, **params}, capsys, check=check)


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    wanted = Wanted(**{"name": "vm", **case["wanted"]})
    found = Instance("vm", **case.get("found", {}))
    has_bin = case.get("has_bin", True)
    if "refused" in case:
        with pytest.raises(Refused) as refusal:
            plan(wanted, found, has_bin=has_bin, host_memory=HOST_MEMORY)
        for words in case["refused"]:
            assert words in str(refusal.value)
        return
    steps = plan(wanted, found, has_bin=has_bin, host_memory=HOST_MEMORY)
    assert [" ".join(step.command) for step in steps] == case["commands"]


def test_launch_hands_over_cloud_init_and_waits(multipass: Answers, capsys: Any) -> None:
    running = [0, "status: running\n", ""]
    multipass.table = {
        "info vm --format json": [MISSING, info("Running", "N/A"), info("Running", "10.1.2.3")],
        STATUS: [[255, "", "exec failed: ssh connection failed"], running, [0, "status: done\n", ""]],
    }
    answer = run(multipass, capsys, cloud_init="#cloud-config\npackages: [curl]\n")
    assert not answer["failed"], answer
    assert answer["changed"]
    assert answer["actions"] == ["launch vm"]
    assert answer["instance"]["ipv4"] == ["10.1.2.3"]
    launched = next(asked for asked in multipass.asked if asked[0].startswith("launch"))
    assert launched == (
        "launch --name vm --cloud-init - --timeout 60",
        "#cloud-config\npackages: [curl]\n",
    )
    assert [words for words, _ in multipass.asked].count(STATUS) == 3


def test_check_mode_launches_nothing_and_predicts(multipass: Answers, capsys: Any) -> None:
    multipass.table = {"info vm --format json": [MISSING]}
    answer = run(multipass, capsys, check=True, cpus=2)
    assert answer["changed"]
    assert answer["actions"] == ["launch vm with 2 cpus"]
    assert answer["diff"] == {"before": "state: absent\n", "after": "state: running\ncpus: 2\n"}
    assert multipass.words == []


def test_second_run_changes_nothing(multipass: Answers, capsys: Any) -> None:
    multipass.table = {
        "info vm --format json": [info("Running", "10.1.2.3")],
        "get local.vm.cpus": [[0, "2\n", ""]],
        "get local.vm.memory": [[0, "4.0GiB\n", ""]],
        "get local.vm.disk": [[0, "20.0GiB\n", ""]],
        STATUS: [[0, "status: done\n", ""]],
    }
    answer = run(multipass, capsys, cpus=2, memory="4G", disk="20G", image="24.04")
    assert (answer["changed"], answer["actions"]) == (False, [])
    assert answer["diff"]["before"] == answer["diff"]["after"]
    assert multipass.words == []


def test_launch_that_multipass_waits_for_too_short_goes_on(multipass: Answers, capsys: Any) -> None:
    late = [
        2,
        "",
        "launch failed: The following errors occurred:\ntimed out waiting for initialization to complete\n",
    ]
    multipass.table = {
        "info vm --format json": [MISSING, info("Running", "10.1.2.3")],
        "launch --name vm --timeout 60": [late],
        STATUS: [[0, "status: done\n", ""]],
    }
    assert not run(multipass, capsys)["failed"]


def test_instance_that_is_starting_is_waited_for(multipass: Answers, capsys: Any) -> None:
    multipass.table = {
        "info vm --format json": [info("Starting"), info("Running", "10.1.2.3")],
        STATUS: [[0, "status: done\n", ""]],
    }
    answer = run(multipass, capsys)
    assert (answer["failed"], answer["changed"]) == (False, False)


def test_failed_cloud_init_shows_its_end(multipass: Answers, capsys: Any) -> None:
    multipass.table = {
        "info vm --format json": [info("Running", "10.1.2.3")],
        STATUS: [[1, "status: error\n", ""]],
        "exec vm -- sudo tail -n 15 /var/log/cloud-init-output.log": [[0, "no such package: kurl\n", ""]],
    }
    answer = run(multipass, capsys)
    assert answer["failed"]
    assert "cloud-init of vm failed. Its end: no such package: kurl" in answer["msg"]


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        # Exit code and words of cloudinit/config/schema.py of canonical/cloud-init (handle_schema_args).
        (
            [1, "", "Error: Cloud config schema errors: : Additional properties are not allowed ('x')\n"],
            "('x')",
        ),
        ([0, "Valid schema user-data\n", ""], "mirror not found"),
    ],
)
def test_cloud_init_that_recovered_is_a_warning_that_names_the_fault(
    multipass: Answers, capsys: Any, monkeypatch: pytest.MonkeyPatch, schema: list[Any], names: str
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(
        "library.multipass.multipass_vm.AnsibleModule.warn", lambda _, words: warnings.append(words)
    )
    multipass.table = {
        "info vm --format json": [info("Running", "10.1.2.3")],
        STATUS: [[2, "status: done\n", ""]],
        "exec vm -- sudo cloud-init schema --system": [schema],
        "exec vm -- sudo tail -n 15 /var/log/cloud-init-output.log": [[0, "mirror not found\n", ""]],
    }
    answer = run(multipass, capsys)
    assert not answer["failed"]
    assert "errors that it recovered from" in warnings[0]
    assert names in warnings[0]


def test_instance_whose_address_is_not_known_yet_is_waited_for(multipass: Answers, capsys: Any) -> None:
    no_address = [2, "", "info failed: IP not available\n"]
    multipass.table = {
        "info vm --format json": [MISSING, no_address, no_address, info("Running", "10.1.2.3")],
        STATUS: [[0, "status: done\n", ""]],
    }
    answer = run(multipass, capsys)
    assert not answer["failed"], answer
    assert answer["instance"]["ipv4"] == ["10.1.2.3"]


def test_memory_is_told_so_that_all_machines_of_a_computer_can_be_added_up(
    multipass: Answers, capsys: Any
) -> None:
    multipass.table = {"info vm --format json": [MISSING]}
    answer = run(multipass, capsys, check=True, memory="512M")
    assert answer["memory_bytes"] == 512 << 20
    assert answer["host_memory_bytes"] > 512 << 20


def test_instance_that_gets_no_address_is_named(multipass: Answers, capsys: Any) -> None:
    multipass.table = {"info vm --format json": [info("Running", "N/A")]}
    answer = run(multipass, capsys, timeout=0)
    assert answer["failed"]
    assert "vm has no address" in answer["msg"]
    assert "VPN" in answer["msg"]


def test_daemon_that_does_not_run_is_named_with_the_remedy(multipass: Answers, capsys: Any) -> None:
    silent = [3, "", "info failed: cannot connect to the multipass socket\n"]
    multipass.table = {"info vm --format json": [silent]}
    answer = run(multipass, capsys)
    assert answer["failed"]
    assert "service does not answer" in answer["msg"]
    assert "sudo snap restart multipass" in answer["msg"]


def test_a_program_is_given_cloud_init_by_standard_input(tmp_path: Path, capsys: Any) -> None:
    program = tmp_path / "multipass"
    program.write_text(FAILING)
    program.chmod(0o755)
    given = {"name": "vm", "executable": str(program), "cloud_init": "#cloud-config\n"}
    assert "Could not launch vm" in run_module("multipass_vm", given, capsys)["msg"]
    assert (tmp_path / "multipass.stdin").read_text() == "#cloud-config\n"


def test_missing_multipass_is_named(tmp_path: Path, capsys: Any) -> None:
    answer = run_module("multipass_vm", {"name": "vm", "executable": str(tmp_path / "none")}, capsys)
    assert answer["failed"]
    assert "not installed" in answer["msg"]


def test_answer_counts_although_the_exit_code_says_failure(multipass: Answers, capsys: Any) -> None:
    answer_with_failure = [2, info("Running", "10.1.2.3")[1], "info failed: one of them is unwell"]
    multipass.table = {"info vm --format json": [answer_with_failure], STATUS: [[0, "status: done\n", ""]]}
    assert not run(multipass, capsys)["failed"]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("Options:\n  --all\n  -p, --purge  Permanently delete", "delete --purge vm"),
        ("Options:\n  --all\n  --force  Do not ask", "delete --force vm"),
    ],
)
def test_removal_for_good_uses_the_words_of_this_version(
    multipass: Answers, capsys: Any, says: str, words: str
) -> None:
    multipass.table = {"info vm --format json": [info("Running"), MISSING], "help delete": [[0, says, ""]]}
    answer = run(multipass, capsys, state="absent", purge=True)
    assert not answer["failed"], answer
    assert multipass.words == [words]
    assert answer["instance"]["state"] == "absent"


def test_version_without_a_bin_is_asked_before_it_destroys(multipass: Answers, capsys: Any) -> None:
    multipass.table = {
        "info vm --format json": [info("Running")],
        "help delete": [[0, "  --force  Do not ask", ""]],
    }
    answer = run(multipass, capsys, state="absent")
    assert answer["failed"]
    assert "purge: true" in answer["msg"]
    assert multipass.words == []


def test_refused_mount_tells_of_the_snap(multipass: Answers, capsys: Any) -> None:
    multipass.table = {
        "info vm --format json": [info("Running", "10.1.2.3")],
        "mount /opt/data vm:/srv": [[1, "", 'Source path "/opt/data" does not exist\n']],
    }
    answer = run(multipass, capsys, mounts=[{"source": "/opt/data", "target": "/srv"}])
    assert answer["failed"]
    assert "below your home folder" in answer["msg"]
