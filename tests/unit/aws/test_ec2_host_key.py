"""A machine's ssh key is waited for, and what keeps it from being read is told."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from library.aws import ec2_host_key
from tests.support.aws import CONSOLE, HOST_KEY
from tests.support.modules import run_module

WHICH = {"instance_id": "i-1", "region": "eu-central-1"}


class Consoles:
    """A client whose machine shows these texts one after the other; an error in a text's place is raised."""

    def __init__(self, *shown: Any) -> None:
        self.shown = list(shown)
        self.asked: list[dict[str, Any]] = []

    def get_console_output(self, **question: Any) -> dict[str, Any]:
        self.asked.append(question)
        text = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(text, ClientError):
            raise text
        return {"Output": text} if text is not None else {}


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"this is {code}"}}, "GetConsoleOutput")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2_host_key, "PAUSE_SECONDS", 0)


def answer(client: Consoles, monkeypatch: pytest.MonkeyPatch, capsys: Any, timeout: int = 60) -> Any:
    monkeypatch.setattr("boto3.client", lambda *_args, **_options: client)
    return run_module("ec2_host_key", {**WHICH, "timeout": timeout}, capsys)


def test_key_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    client = Consoles(None, "[    0.000000] Linux\n", CONSOLE)
    told = answer(client, monkeypatch, capsys)
    assert (told["key"], told["changed"], len(client.asked)) == (HOST_KEY, False, 3)


def test_machine_that_cannot_give_the_newest_picture_is_asked_for_an_older_one(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    client = Consoles(error("UnsupportedOperation"), CONSOLE)
    assert answer(client, monkeypatch, capsys)["key"] == HOST_KEY
    assert client.asked == [{"InstanceId": "i-1", "Latest": True}, {"InstanceId": "i-1"}]


def test_console_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    told = answer(Consoles("login:"), monkeypatch, capsys, timeout=0)
    assert told["failed"]
    assert "The console of i-1 has shown no ssh key within 0 s" in told["msg"]


def test_missing_right_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    told = answer(Consoles(error("UnauthorizedOperation")), monkeypatch, capsys)
    assert told["failed"]
    assert "The console of i-1 cannot be read" in told["msg"]
    assert "this is UnauthorizedOperation" in told["msg"]
