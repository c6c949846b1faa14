"""The table of what is refused: requests, connections, rows, files, settings."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import yaml
from metalworks_model.data import ingest, sources
from metalworks_model.settings import Settings, SettingsProblem

from .conftest import Process, day

TABLE = yaml.safe_load((Path(__file__).parent / "malformed.yaml").read_text())
HEADER = ",".join(sources.COLUMNS)


def cases(kind: str) -> Any:
    return pytest.mark.parametrize(
        "case", [pytest.param(each, id=each.get("name", each.get("row"))) for each in TABLE[kind]]
    )


def test_the_table_has_at_least_forty_cases() -> None:
    assert sum(len(each) for each in TABLE.values()) >= 40


@cases("requests")
def test_a_malformed_request_is_refused(shared: Process, case: dict[str, Any]) -> None:
    path, body = case.get("path", "/v2/models/recommender/infer"), case.get("body", "").encode()
    if "infer" in case:
        body = json.dumps(case["infer"]).encode()
    if "latin1" in case:
        body = case["latin1"].encode("latin-1")
    method = case.get("method", "POST")
    answer = shared.ask(method, path, body if method == "POST" else None, **case.get("headers", {}))
    assert answer.status == case.get("status", 400), answer.body
    assert case["says"] in answer.json["error"]
    assert (answer.json["model_name"], answer.json["model_version"]) == ("recommender", "1")
    if answer.status == 405:
        assert answer.headers["allow"]


@cases("connections")
def test_what_is_no_http_is_refused_and_the_connection_ends(shared: Process, case: dict[str, Any]) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        connection.sendall(case["send"].encode())
        more = {"chunks": b"10000\r\n" + b"x" * 65536 + b"\r\n", "headers": b"A: " + b"x" * 2000 + b"\r\n"}
        answer = b""
        try:
            for _ in range(40 if "then" in case else 0):
                connection.sendall(more[case["then"]])
        except OSError:
            pass  # the server has refused already
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    assert answer.startswith(b"HTTP/1.1 %d " % case["status"])
    assert b"Connection: close" in answer
    assert shared.ask("GET", "/v2/health/ready").status == 200


@cases("rows")
def test_a_bad_row_is_in_quarantine_with_the_reason(case: dict[str, Any]) -> None:
    good_row = "536365,85123A,X,6,2010-12-01 08:26:00,2.55,17850,UK"
    content = f"{HEADER}\n{good_row}\n{case['row']}\n".encode()
    batch = sources.Batch(day("2010-12-01"), *sources.parse(content, "a.csv"))
    good, bad = ingest.check(batch)
    assert (len(good), len(bad), batch.rows) == (1, 1, 2)
    assert bad["reason"].to_pylist() == [case["says"]]
    # What was read is still there, so the row can be mended and sent again.
    kept = [
        value
        for name in bad.column_names
        if name != "reason"
        for value in pc.fill_null(bad[name], "").to_pylist()
    ]
    assert all(
        part.strip() in "".join(kept) for part in case["row"].replace('"', "").split(",") if "," not in part
    )


@cases("files")
def test_a_bad_file_is_refused(case: dict[str, Any]) -> None:
    content = case["latin1"].encode("latin-1") if "latin1" in case else case["content"].encode()
    with pytest.raises(sources.SourceProblem) as problem:
        sources.parse(content, "a.csv")
    assert case["says"] in str(problem.value)
    assert str(problem.value).startswith("a.csv ")


@cases("settings")
def test_a_bad_setting_is_refused_with_its_name(case: dict[str, Any]) -> None:
    with pytest.raises(SettingsProblem) as problem:
        Settings.read({case["name"]: case["value"]})
    assert case["says"] in str(problem.value)
