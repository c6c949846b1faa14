"""Searches and the queries that they become, lines as they are printed, and the module against a store."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils.metalworks.logging import store as store_module
from ansible.module_utils.metalworks.logging.search import logsql, parse
from ansible.module_utils.metalworks.logging.store import Line, LogStore, as_line, new_lines
from library.logging import logs_query as module
from tests.support.modules import cases, run_module
from tests.support.servers import Silent, running


@pytest.mark.parametrize("case", cases(__file__))
def test_search(case: dict[str, Any]) -> None:
    if "says" in case:
        with pytest.raises(ValueError, match=re.escape(case["says"])):
            parse(case["text"])
        return
    search = parse(case["text"])
    slug_hash = hashlib.sha256(search.user.encode()).hexdigest()[:8]
    assert logsql(search) == case["query"].replace("@HASH@", slug_hash)


def test_a_level_means_graver_ones_in_each_field() -> None:
    names = "(?i)^(warn|warning|4|err|error|crit|critical|fatal|panic|alert|emerg|emergency|0|1|2|3)$"
    query = logsql(parse("level=warning"))
    for field in ("level", "levelname", "severity"):
        assert f'{field}:~"{names}"' in query


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[E 2026-11-26 12:00:00.000 JupyterHub app:1] x", "error"),
        ("E1126 12:00:00.123456       1 a.go:1] x", "error"),
        ('I1126 12:00:00.123456       1 a.go:1] "x" asked="level=error"', "info"),
        ("time=2026-11-26T12:00:00Z level=WARN msg=x", "warning"),
        ('level=info msg="asked for level=error"', "info"),
        ("ERROR:root:x", "error"),
        ("2026-11-26 12:00:00,123 - a.b - WARNING - x", "warning"),
        ('{"ts":"2026","severity":"ERROR"}', "error"),
        ("an ERROR was none", None),
    ],
)
def test_a_level_is_told_by_the_text(text: str, level: str | None) -> None:
    """The real store finds more such lines in tests/upstream/test_log_store.py."""
    levels = ("debug", "info", "warning", "error")
    for asked in levels:
        # The last two are for lines of the level; those before them, for lesser ones of a unit's output.
        expressions = re.findall(r'_msg:~("(?:\\.|[^"\\])*")', logsql(parse(f"level={asked}")))
        told = any(re.search(json.loads(each), text) for each in expressions[-2:])
        assert told is (level is not None and levels.index(asked) <= levels.index(level)), asked
        lesser = any(re.search(json.loads(each), text) for each in expressions[:-2])
        assert lesser is (level is not None and levels.index(asked) > levels.index(level)), asked


def test_a_search_says_how_far_back_it_goes_and_whether_it_follows() -> None:
    assert [parse(f"since={each}").seconds for each in ("90s", "2h", "1w")] == [90, 7200, 604800]
    assert parse("").seconds == 3600
    assert parse("follow=yes").follows and not parse("follow=no").follows


POD = {
    "_time": "2026-11-26T10:00:00.1Z",
    "_msg": "it runs",
    "kubernetes.pod_namespace": "people",
    "kubernetes.pod_name": "jupyter-ada",
    "kubernetes.container_name": "notebook",
    "kubernetes.pod_node_name": "metal-1",
    "level": "info",
}


@pytest.mark.parametrize(
    ("entry", "printed"),
    [
        (POD, "2026-11-26T10:00:00.1Z  people/jupyter-ada/notebook  info  it runs"),
        (
            {
                "_time": "t",
                "_msg": "up",
                "kubernetes.pod_node_name": "metal-1",
                "_SYSTEMD_UNIT": "k3s.service",
            },
            "t  metal-1 k3s.service  up",
        ),
        ({"_time": "t", "_msg": "down", "severity": "ERROR"}, "t  ERROR  down"),
        ({"level": "error", "n": "4"}, "level=error n=4"),
    ],
    ids=["pod", "journal", "severity", "count"],
)
def test_a_line_is_printed_with_where_it_is_from(entry: dict[str, str], printed: str) -> None:
    assert str(as_line(entry)) == printed


def test_a_line_does_not_command_the_terminal() -> None:
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 9]
    for control in controls:
        shown = rf"\x{ord(control):02x}"
        line = Line(f"t{control}", f"s{control}", f"l{control}", f"a{control}b")
        assert str(line) == f"t{shown}  s{shown}  l{shown}  a{shown}b"
    assert str(Line("", "", "", "\x1b]0;x\x07")) == r"\x1b]0;x\x07"
    assert str(Line("", "", "", "a\tb größer \u00a0")) == "a\tb größer \u00a0", "other characters stay"
    assert str(as_line({"n": "\x1b[2J"})) == r"n=\x1b[2J"


def test_lines_are_sorted_by_fractions_of_any_length() -> None:
    times = ["T10:00:00Z", "T10:00:00.1Z", "T10:00:00.12Z", "T10:00:01Z"]
    lines = [Line(f"2026-11-26{each}", "", "", "") for each in times]
    mixed = [lines[2], lines[0], lines[3], lines[1]]
    assert sorted(mixed, key=lambda line: line.order) == lines


def test_a_line_is_new_once_also_if_it_comes_late() -> None:
    early, late, last = (Line(str(number), "", "", "x") for number in (1, 2, 3))
    seen = {early}
    assert new_lines([early, last], seen) == [last]
    assert new_lines([early, late, last], seen) == [late]
    assert new_lines([last], seen) == []
    assert seen == {last}, "what is too old to be found again is forgotten"


class Store(Silent):
    """A store with one line, which it finds at the second look."""

    asked: list[dict[str, list[str]]] = []

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append(query)
        if query["query"] == ["|"]:
            self.reply(400, "cannot parse query [|]: unexpected pipe", "text/plain")
        else:
            self.reply(200, json.dumps(POD) + "\n" if len(self.asked) > 1 else "", "application/stream+json")


@pytest.fixture
def _store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the module find the store of this process, whatever the cluster is."""
    Store.asked = []
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Store)) as address:
        opened = contextlib.nullcontext(LogStore(address))
        monkeypatch.setattr(module, "KubernetesApi", lambda *_: None)
        monkeypatch.setattr(module.LogStore, "opened", lambda *_: opened)
        yield


@pytest.mark.usefixtures("_store")
def test_the_module_waits_for_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    params = {"namespace": "logging", "search": "namespace=people since=2h limit=7"}
    found = run_module("logs_query", params, capsys)
    assert (found["changed"], found["lines"]) == (False, [])
    found = run_module("logs_query", {**params, "wait_seconds": 10}, capsys)
    assert [line["text"] for line in found["lines"]] == ["it runs"]
    assert found["query"] == '{kubernetes.pod_namespace="people"}'
    first = Store.asked[0]
    assert (first["query"], first["limit"]) == ([found["query"]], ["7"])


@pytest.mark.usefixtures("_store")
def test_what_the_store_refuses_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    said = run_module("logs_query", {"namespace": "logging", "search": "query='|'"}, capsys)
    assert said["failed"] and "cannot parse query" in said["msg"]


def test_a_wrong_search_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    said = run_module("logs_query", {"namespace": "logging", "search": "usr=ada"}, capsys)
    assert said["failed"] and "did you mean user?" in said["msg"]


def test_a_line_that_comes_late_is_within_what_is_asked_again() -> None:
    """Of a silent pod, a line was found 12 s after it was written at the latest."""
    assert store_module.LATENESS_SECONDS > 2 * 12
