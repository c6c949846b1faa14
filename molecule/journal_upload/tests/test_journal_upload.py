"""A node's journal is sent whole, also what was written while nobody listened."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.scenario import converge_again
from tests.support.waiting import wait_for

PASSWORD = hashlib.sha1(b"journal").hexdigest()
SETTINGS = "/etc/systemd/journal-upload.conf.d/metalworks.conf"
UNIT = "systemd-journal-upload"
SCENARIO = Path(__file__).resolve().parents[1]


def taken(host: Any, word: str) -> bool:
    """Whether the server got a word."""
    return bool(host.run(f"sudo grep --text --quiet '{word}' /var/tmp/taken").rc == 0)


def say(host: Any) -> str:
    """Write a word to the journal that nobody else writes."""
    word = f"mark{uuid4().hex[:12]}"
    host.check_output(f"logger {word}")
    return word


def test_what_is_written_is_sent(host: Any) -> None:
    word = say(host)
    wait_for(lambda: taken(host, word), "the journal is not sent", 60)


def test_it_is_sent_to_the_stores_path_with_the_login_and_the_nodes_name(host: Any) -> None:
    login = base64.b64encode(f"writer:{PASSWORD}".encode()).decode()
    line = host.check_output("sudo grep --text --max-count 1 '^POST ' /var/tmp/taken")
    assert line.startswith("POST /insert/journald/upload?")
    assert "extra_fields=kubernetes.pod_node_name=server-1" in line
    assert line.endswith(f"Basic {login}")


def test_what_was_written_while_nobody_listened_is_sent_later(host: Any) -> None:
    host.check_output("sudo systemctl stop taker")
    word = say(host)
    # Systemd gives up after five ends in ten seconds, unless it is told otherwise.
    wait_for(
        lambda: int(host.check_output(f"systemctl show --property NRestarts --value {UNIT}")) >= 6,
        "it is not started again and again",
        150,
        every=5,
    )
    said = host.check_output(f"sudo journalctl --unit {UNIT} --no-pager")
    assert "Failed with result" in said and PASSWORD not in said
    host.check_output("sudo systemctl start taker")
    wait_for(lambda: taken(host, word), "what was written is not sent", 60)


def test_only_root_and_the_programs_group_read_the_password(host: Any) -> None:
    file = host.file(SETTINGS)
    assert (file.user, file.group, file.mode) == ("root", "systemd-journal", 0o640)
    with host.sudo():
        assert PASSWORD in file.content_string
        # A search for it on the machine would find its own command line.
        assert PASSWORD not in host.check_output("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true")


def test_it_runs_after_a_boot(host: Any) -> None:
    assert host.service(UNIT).is_enabled


def test_it_is_taken_away(host: Any) -> None:
    converge_again(SCENARIO, "one_machine.yml", journal_upload_state="absent")
    assert not host.file(SETTINGS).exists
    assert not host.service(UNIT).is_running and not host.service(UNIT).is_enabled
    converge_again(SCENARIO, "one_machine.yml")
    assert host.service(UNIT).is_running
