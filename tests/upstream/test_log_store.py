"""The real store of logs and its login, with the role's arguments: who reaches what, and what is found."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from ansible.module_utils.metalworks.logging import logins
from ansible.module_utils.metalworks.logging.search import parse
from ansible.module_utils.metalworks.logging.store import Line, LogStore
from tests.support.artifacts import built_path
from tests.support.logs import ACCESS
from tests.support.roles import resolved
from tests.support.servers import free_port, started
from tests.support.waiting import wait_for

SECRETS = {"reader": "r" * 40, "writer": "w/+:@" * 8, "door": "d" * 64}
GIVEN = {
    "container_images_references": dict.fromkeys(("victoria-logs", "vlagent", "vmauth"), "registry/a/b:v1"),
    "logging_namespace": "logging",
    "metalworks_state_dir": "/nowhere",
}


@dataclass(frozen=True)
class Running:
    """Where the store and its login answer, and the file with who may do what."""

    store: str
    login: str
    file: Path


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Both, as the pod runs them, at free ports."""
    folder = tmp_path_factory.mktemp("logs")
    store, login, inner = (f"127.0.0.1:{free_port()}" for _ in range(3))
    file = folder / "auth.yml"
    found = Running(store, login, file)
    write(found, SECRETS)
    server = resolved("logging", "__logging_store_values", **GIVEN)["server"]
    # As the chart writes them.
    flags = {
        "storageDataPath": folder / "data",
        "httpListenAddr": store,
        "retentionPeriod": server["retentionPeriod"],
        "retention.maxDiskSpaceUsageBytes": server["retentionDiskSpaceUsage"],
        **server["extraArgs"],
    }
    places = {"/etc/logins/auth.yml": str(file), ":8427": login, ":8426": inner}
    arguments = "\n".join(resolved("logging", "__logging_login", **GIVEN)["args"])
    for place, here in places.items():
        arguments = arguments.replace(place, here)
    storing = [str(built_path("victoria-logs")), *(f"-{name}={value}" for name, value in flags.items())]
    letting_in = [str(built_path("vmauth")), *arguments.splitlines()]
    quiet = {"stderr": subprocess.DEVNULL}
    with (
        started(storing, f"http://{store}/health", **quiet),
        started(letting_in, f"http://{inner}/health", **quiet),
    ):
        yield found


def write(servers: Running, secrets: dict[str, str]) -> None:
    """Write who may do what, with the store's port of this test."""
    text = logins.logins(secrets["reader"], secrets["writer"], secrets["door"])
    servers.file.write_text(text.replace(logins.STORE, f"http://{servers.store}"))


def asked(servers: Running, who: str, path: str, secrets: dict[str, str] = SECRETS) -> int:
    """Ask the login for a path as somebody, and return the answer's status."""
    headers = {logins.DOOR: secrets["door"]} if who == "door" else {}
    auth = (who, secrets[who]) if who in ("reader", "writer") else None
    method = "POST" if path.startswith("/insert") else "GET"
    url = f"http://{servers.login}{path}"
    return requests.request(method, url, auth=auth, headers=headers, timeout=30).status_code


def sent(servers: Running, *lines: dict[str, Any]) -> None:
    """Send lines as a collector does, with the time of now."""
    now = datetime.now(UTC).isoformat()
    fields = "_stream_fields=kubernetes.pod_namespace,kubernetes.pod_name&_time_field=t&_msg_field=message"
    body = "\n".join(json.dumps({"t": now, **line}) for line in lines)
    url = f"http://{servers.login}/insert/jsonline?{fields}"
    requests.post(url, data=body, auth=("writer", SECRETS["writer"]), timeout=30).raise_for_status()


def found(servers: Running, text: str) -> list[Line]:
    wanted = parse(text)
    return LogStore(servers.store).lines(wanted, wanted.seconds)


@pytest.fixture
def mark() -> str:
    """A word that only this test's lines have."""
    return f"mark{uuid4().hex[:12]}"


@pytest.mark.parametrize(("who", "path", "allowed"), ACCESS)
def test_each_login_reaches_what_is_its_own(servers: Running, who: str, path: str, allowed: bool) -> None:
    status = asked(servers, who, path)
    assert (status < 400) is allowed, status


def test_a_wrong_secret_of_the_door_opens_nothing(servers: Running) -> None:
    wrong = {**SECRETS, "door": SECRETS["door"][:-1]}
    assert asked(servers, "door", "/select/vmui/", wrong) >= 400


def test_another_password_reaches_the_login_without_a_restart(servers: Running) -> None:
    other = {**SECRETS, "reader": "another" * 6}
    path = "/select/logsql/query?query=*&limit=1"
    write(servers, other)
    wait_for(lambda: asked(servers, "reader", path, other) == 200, "the new password is not accepted", 30)
    assert asked(servers, "reader", path) == 401
    write(servers, SECRETS)
    wait_for(lambda: asked(servers, "reader", path) == 200, "the old password is not accepted again", 30)


def test_a_line_is_found_by_all_that_people_ask_for(servers: Running, mark: str) -> None:
    place = {
        "kubernetes.pod_namespace": "writers",
        "kubernetes.pod_name": "speaker",
        "kubernetes.container_name": "sh",
        "kubernetes.pod_node_name": "one",
    }
    said = {"message": f"{mark} it fails", "level": "error", "model_version": "7", "request_id": f"r{mark}"}
    other = {"message": f"{mark} all is well", "level": "info", "kubernetes.pod_labels.x": "y"}
    sent(servers, {**place, **said, "user": "ada"}, {**place, **other, "kubernetes.pod_name": "silent"})
    wait_for(lambda: len(found(servers, f"words={mark}")) == 2, "the lines are not found", 30)
    for asked_for in (
        "namespace=writers pod=speak",
        "container=sh pod=speaker",
        "node=one level=warning",
        "user=ada",
        "level=error",
        "model_version=7",
        f"request_id=r{mark}",
        f"words='{mark} it'",
    ):
        words = "" if "words" in asked_for else f" words={mark}"
        assert [line.text for line in found(servers, asked_for + words)] == [f"{mark} it fails"], asked_for
    for nothing in (
        "pod=peak",
        "user=grace",
        "model_version=8",
        "namespace=default",
        "request_id=r",
        "node=two",
    ):
        assert found(servers, f"{nothing} words={mark}") == [], nothing
    [line] = found(servers, f"level=error words={mark}")
    assert line.source == "writers/speaker/sh"


def test_a_journal_is_found_while_its_request_goes_on(servers: Running, mark: str) -> None:
    """systemd-journal-upload sends one request that never ends, in chunks."""
    url = logins.journal_url(servers.login, "writer", SECRETS["writer"], "one")
    head, _, rest = url.removeprefix("http://").partition("@")
    host, _, path = rest.partition("/")
    del head
    login = requests.auth._basic_auth_str("writer", SECRETS["writer"])
    fields = {
        "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000),
        "_HOSTNAME": "one",
        "_SYSTEMD_UNIT": "k3s.service",
        "_CMDLINE": "secret",
        "PRIORITY": "3",
        "MESSAGE": f"{mark} of the journal",
    }
    entry = "".join(f"{name}={value}\n" for name, value in fields.items()).encode() + b"\n"
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), 30) as connection:
        lines = [
            f"POST /{path.rstrip('#')} HTTP/1.1",
            f"Host: {host}",
            f"Authorization: {login}",
            "Transfer-Encoding: chunked",
            "Content-Type: application/vnd.fdo.journal",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        connection.sendall(f"{len(entry):x}\r\n".encode() + entry + b"\r\n")
        [line] = wait_for(
            lambda: found(servers, f"node=one words={mark}"), "it is not found before the request ends", 30
        )
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith((b"HTTP/1.1 200", b"HTTP/1.1 204"))
    assert line.source == "one k3s.service"
    assert found(servers, f"unit=k3s.service level=error words={mark}") == [line]
    assert found(servers, f"query='\"{mark}\" _CMDLINE:secret'") == []


def test_control_characters_come_back_and_are_printed_as_escapes(servers: Running, mark: str) -> None:
    text = f"{mark} \x1b]0;x\x07 \x85 \u2028 \x9b2J\r\n\tend"
    sent(servers, {"message": text})
    [line] = wait_for(lambda: found(servers, f"words={mark}"), "the line is not found", 30)
    assert line.text == text
    assert str(line).endswith(rf"{mark} \x1b]0;x\x07 \x85 {chr(0x2028)} \x9b2J\x0d\x0a" + "\tend")


LEVELS = ("debug", "info", "warning", "error")
# Lines of pods, and the gravest level that finds each.
SAID = [
    ({"message": 'E1128 12:00:00.123456       1 a.go:1] "Failed" err="x"'}, "error"),
    ({"message": "F1128 12:00:00.123456       1 a.go:1] x"}, "error"),
    ({"message": "W1128 12:00:00.123456       1 a.go:1] x"}, "warning"),
    ({"message": 'I1128 12:00:00.123456       1 a.go:1] "Query" text="level=error"'}, "info"),
    ({"message": "E1128 is a room"}, None),
    ({"message": "level=error msg=x"}, "error"),
    ({"message": 'time=2026-11-28T12:00:00.000Z level=ERROR source=main.go:1 msg="x"'}, "error"),
    ({"message": 'time="2026-11-28T12:00:00Z" level=fatal msg="x"'}, "error"),
    ({"message": '2026-11-28 12:00:00 x level="Warn" msg=x'}, "warning"),
    ({"message": 'ts=2026-11-28T12:00:00Z caller=a.go:1 level=warn x="a \\" b"'}, "warning"),
    ({"message": 'level=info msg="asked for level=error"'}, "info"),
    ({"message": 'msg="she said \\" level=error" level=debug'}, "debug"),
    ({"message": "GET /?level=error"}, None),
    ({"message": "level=errors"}, None),
    ({"message": "ERROR:root:x"}, "error"),
    ({"message": "[ERROR] x"}, "error"),
    ({"message": "CRITICAL x"}, "error"),
    ({"message": "INFO:     Started"}, "info"),
    ({"message": "2026-11-28 12:00:00,123 - a.b - WARNING - x"}, "warning"),
    ({"message": "2026/11/28 12:00:00 ERROR mlflow.server: x"}, "error"),
    ({"message": "[2026-11-28 12:00:00 +0000] [1] [ERROR] x"}, "error"),
    ({"message": "2026-11-28 12:00:00.000 UTC [1] FATAL:  x"}, "error"),
    ({"message": "[E 2026-11-28 12:00:00.000 JupyterHub app:1] x"}, "error"),
    ({"message": "ERRORS were none"}, None),
    ({"message": "an ERROR was none"}, None),
    ({"message": "x", "severity": "ERROR"}, "error"),
    ({"message": "x", "severity": "WARNING"}, "warning"),
    ({"message": "x", "levelname": "Critical"}, "error"),
    ({"message": "x", "levelname": "INFO"}, "info"),
    ({"message": "x", "level": "error"}, "error"),
    ({"message": '{"level":"warn","ts":"2026","msg":"level=error"}'}, "warning"),
    ({"message": '{"ts": "2026", "severity": "ERROR"}'}, "error"),
]
# Entries of a journal: the priority, how it came there, and the text.
WRITTEN = [
    ("6", "stdout", "E1128 12:00:00.123456    1 a.go:1] x", "error"),
    ("6", "stdout", 'time="2026-11-28T12:00:00Z" level=error msg=x', "error"),
    ("6", "stdout", '{"level":"warn","ts":"2026-11-28","msg":"x"}', "warning"),
    ("6", "stdout", 'time="2026-11-28T12:00:00Z" level=debug msg=x', "debug"),
    ("6", "stdout", "x", "info"),
    ("3", "stdout", "x", "error"),
    ("3", "stdout", "level=info msg=x", "info"),
    ("3", "kernel", "INFO: task x blocked for more than 120 seconds.", "error"),
    ("4", "syslog", "x", "warning"),
]


def levels_that_find(servers: Running, mark: str, wanted: int) -> dict[str, str]:
    """Return the gravest level with which each line is found, without the mark, once all are found."""
    wait_for(lambda: len(found(servers, f"words={mark}")) == wanted, "the lines are not found", 30)
    by_line: dict[str, str] = {}
    for level in LEVELS:
        lines = {
            line.text.removesuffix(mark).rstrip() for line in found(servers, f"level={level} words={mark}")
        }
        for line in lines:
            before = LEVELS[LEVELS.index(level) - 1]
            assert level == LEVELS[0] or by_line[line] == before, f"{level} finds what {before} does not"
            by_line[line] = level
    return by_line


def test_a_level_is_found_in_fields_and_in_the_text(servers: Running, mark: str) -> None:
    numbered = [
        ({**line, "message": f"{line['message']} {number}"}, level)
        for number, (line, level) in enumerate(SAID)
    ]
    sent(servers, *({**line, "message": f"{line['message']} {mark}"} for line, _ in numbered))
    wanted = {line["message"]: level for line, level in numbered if level}
    assert levels_that_find(servers, mark, len(SAID)) == wanted


def test_a_level_in_the_text_counts_more_than_the_priority_of_a_units_output(
    servers: Running, mark: str
) -> None:
    entries = []
    for number, (priority, transport, text, _) in enumerate(WRITTEN):
        fields = {
            "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000 + number),
            "_HOSTNAME": "one",
            "_SYSTEMD_UNIT": "k3s.service",
            "_TRANSPORT": transport,
            "PRIORITY": priority,
            "MESSAGE": f"{text} {number} {mark}",
        }
        entries.append("".join(f"{name}={value}\n" for name, value in fields.items()))
    url = logins.journal_url(servers.login, "writer", SECRETS["writer"], "one").removesuffix("#")
    headers = {"Content-Type": "application/vnd.fdo.journal"}
    body = "\n".join([*entries, ""]).encode()
    requests.post(url, data=body, headers=headers, timeout=30).raise_for_status()
    wanted = {f"{text} {number}": level for number, (_, _, text, level) in enumerate(WRITTEN)}
    assert levels_that_find(servers, mark, len(WRITTEN)) == wanted


def test_its_measurements_have_the_names_that_rules_ask_for(servers: Running) -> None:
    text = requests.get(f"http://{servers.store}/metrics", timeout=30).text
    for name in (
        "vl_rows_ingested_total",
        'vl_rows_dropped_total{reason="too_big_timestamp"}',
        "vl_too_long_lines_skipped_total",
        "vl_storage_is_read_only",
        "vl_data_size_bytes",
        "vl_max_disk_space_usage_bytes",
        "vm_log_messages_total",
    ):
        assert f"\n{name}" in text, name
    assert 'vl_rows_ingested_total{type="journald"}' in text
