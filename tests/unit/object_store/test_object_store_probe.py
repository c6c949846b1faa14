"""What is said about a store of somebody else that cannot be used. The store is a server in this process."""

from __future__ import annotations

import json
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from tests.support.modules import run_module
from tests.support.servers import Silent, running

LISTING = (
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
    "<IsTruncated>false</IsTruncated></ListBucketResult>"
)
SECRET = "a-secret-that-nobody-sees"
# What the store answers -> a part of the sentence.
REFUSALS = [
    (403, "InvalidAccessKeyId", "does not know the access key team"),
    (403, "SignatureDoesNotMatch", "the secret key of the access key team is not the one that"),
    (403, "AccessDenied", "may not list the bucket models: it is somebody else's, or a right is missing"),
    (404, "NoSuchBucket", "has no bucket models: make it, or name another one"),
    (301, "PermanentRedirect", "the bucket models is in another region"),
    (400, "AuthorizationHeaderMalformed", "write it into object_store_region"),
    (403, "RequestTimeTooSkewed", "differ by more than 15 minutes"),
    (400, "SomethingElse", "refuses the access key team: SomethingElse because"),
]


class Store(Silent):
    """Answers every request alike."""

    status, body = 200, LISTING
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.reply(self.status, self.body, "application/xml")


def store(status: int, body: str) -> ThreadingHTTPServer:
    handler = type("Bound", (Store,), {"status": status, "body": body, "asked": []})
    return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def probe(endpoint: str, capsys: Any, *buckets: str) -> list[str]:
    uses = [
        {"bucket": bucket, "access_key": "team", "secret_key": SECRET} for bucket in buckets or ("models",)
    ]
    answer = run_module("object_store_probe", {"endpoint": endpoint, "uses": uses}, capsys)
    assert not answer["failed"] and not answer["changed"]
    assert SECRET not in json.dumps(answer["problems"])
    return answer["problems"]


@pytest.mark.parametrize(("status", "code", "part"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
def test_a_refusal_is_a_sentence(status: int, code: str, part: str, capsys: Any) -> None:
    body = f"<Error><Code>{code}</Code><Message>because</Message></Error>"
    with running(store(status, body)) as address:
        (sentence,) = probe(f"http://{address}", capsys)
    assert part in sentence


def test_a_store_that_can_be_used_has_no_problem(capsys: Any) -> None:
    server = store(200, LISTING)
    with running(server) as address:
        assert probe(f"http://{address}", capsys, "models", "mlflow") == []
    asked = server.RequestHandlerClass.asked  # type: ignore[attr-defined]
    assert [path.partition("?")[0] for path in asked] == ["/models", "/mlflow"]


def test_an_unreachable_store_is_one_sentence_however_many_keys_there_are(capsys: Any) -> None:
    server = store(200, LISTING)
    server.server_close()
    (sentence,) = probe(f"http://127.0.0.1:{server.server_port}", capsys, "models", "mlflow")
    assert "cannot be reached from this computer" in sentence


def test_what_is_no_store_is_told(capsys: Any) -> None:
    with running(store(200, "<!doctype html><p>Welcome")) as address:
        (sentence,) = probe(f"http://{address}", capsys)
    assert "does not answer as an S3 store does" in sentence
