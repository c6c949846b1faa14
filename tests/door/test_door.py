"""The door lets the right people in, passes everything on as it is, and gives no secret away."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket
from tests.door.conftest import LARGE, MEMORY, PASSWORD, TOKEN, World
from tests.support.hub import Browser
from tests.support.waiting import wait_for

PAGE = "/services/mlflow"


def told(answer: requests.Response) -> dict[str, list[str]]:
    """The headers that reached the back end."""
    assert answer.status_code == 200, answer.text
    found: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


# The login.


def test_a_visitor_is_led_to_the_hubs_login_and_back(browser: Browser) -> None:
    answer = browser.log_in("ada", PASSWORD, f"{PAGE}/echo?a=1")
    assert answer.json()["path"] == "/echo?a=1"
    assert told(answer)["x-metalworks-user"] == ["ada"]


def test_who_has_logged_in_opens_every_page_without_a_second_login(browser: Browser) -> None:
    browser.log_in("ada", PASSWORD)
    for page in (PAGE, "/services/whole"):
        browser.visited.clear()
        assert browser.visit(f"{page}/echo").status_code == 200
        assert not any("/hub/login" in path for path in browser.visited), browser.visited


def test_logging_out_closes_all_pages_with_the_next_request(browser: Browser) -> None:
    browser.log_in("ada", PASSWORD)
    for page in (PAGE, "/services/whole"):
        assert browser.visit(f"{page}/echo").status_code == 200
    browser.log_out()
    for page in (PAGE, "/services/whole"):
        assert browser.fetch(f"{page}/echo").status_code == 401
        answer = browser.ask("GET", f"{page}/echo", {"Accept": "text/html"})
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/hub/api/oauth2/authorize")


def test_a_connection_that_the_door_closes_is_said_to_end(world: World) -> None:
    """A client that is not told would send its next request into the closing connection."""
    with requests.Session() as session:
        session.trust_env = False
        refused = session.get(world.url(f"{PAGE}/echo"), timeout=60)
        assert (refused.status_code, refused.headers.get("Connection")) == (401, "close")
    kept = world.call(f"{PAGE}/echo", world.token("ada"))
    assert (kept.status_code, kept.headers.get("Connection", "keep-alive")) == (200, "keep-alive")


def test_a_kept_cookie_is_worth_nothing_after_logging_out(browser: Browser, world: World) -> None:
    browser.log_in("ada", PASSWORD, f"{PAGE}/echo")
    kept = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.session.cookies)
    browser.log_out()
    time.sleep(world.settings.get("cache_seconds", 5) + 1)
    answer = requests.get(world.url(f"{PAGE}/echo"), headers={"Cookie": kept}, timeout=30)
    assert answer.status_code == 401


def test_nobody_is_led_to_another_host_after_the_login(browser: Browser) -> None:
    answer = browser.ask("GET", f"{PAGE}//evil.example/", {"Accept": "text/html"})
    assert answer.status_code == 302
    browser.visited.clear()
    assert browser.log_in("ada", PASSWORD, f"{PAGE}//evil.example/x") is not None
    assert all(path.startswith("/") and not path.startswith("//") for path in browser.visited)


def test_an_address_without_its_slash_leads_to_the_page(world: World) -> None:
    answer = world.call(f"{PAGE}?a=1", world.token("ada"))
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{PAGE}/?a=1")


# Tokens.


@pytest.mark.parametrize("scheme", ["Bearer", "token"])
def test_a_token_of_the_hub_lets_a_program_in(world: World, scheme: str) -> None:
    answer = world.call(f"{PAGE}/echo", "", headers={"Authorization": f"{scheme} {world.token('ada')}"})
    assert told(answer)["x-metalworks-user"] == ["ada"]


def unknown(world: World) -> str:
    return "0" * 32


def expired(world: World) -> str:
    token = world.token("ada", expires_in=1)
    time.sleep(2)
    return token


def revoked(world: World) -> str:
    token = world.token("ada")
    identity = world.ask_hub("GET", "/users/ada/tokens").json()["api_tokens"][-1]["id"]
    assert world.call(f"{PAGE}/echo", token).status_code == 200
    assert world.ask_hub("DELETE", f"/users/ada/tokens/{identity}").status_code == 204
    time.sleep(world.settings.get("cache_seconds", 5) + 1)
    return token


@pytest.mark.parametrize("made", [unknown, expired, revoked], ids=lambda made: str(made.__name__))
def test_a_token_that_the_hub_does_not_know_is_refused(world: World, made: Any) -> None:
    answer = world.call(f"{PAGE}/echo", made(world), headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "unknown or expired" in answer.text


def test_a_wrong_token_is_refused_even_with_a_right_cookie(browser: Browser) -> None:
    browser.log_in("ada", PASSWORD, f"{PAGE}/echo")
    assert browser.fetch(f"{PAGE}/echo").status_code == 200
    assert browser.fetch(f"{PAGE}/echo", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_without_anything_a_program_gets_401_and_never_the_page(world: World) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        answer = requests.request(method, world.url(f"{PAGE}/echo"), timeout=30, allow_redirects=False)
        assert answer.status_code == 401, method
        assert "headers" not in answer.text


def test_a_token_in_the_address_counts_for_nothing(world: World) -> None:
    answer = requests.get(world.url(f"{PAGE}/echo?token={world.token('ada')}"), timeout=30)
    assert answer.status_code == 401


def test_a_service_of_the_hub_is_no_user(world: World) -> None:
    """The tests' own service may not open pages, whatever it is called."""
    assert world.call(f"{PAGE}/echo", TOKEN).status_code == 403


# Rights.


@pytest.mark.parametrize(
    ("user", "page", "status"),
    [
        ("ada", "mlflow", 200),
        ("ada", "deploys", 403),
        ("grace", "deploys", 200),
        ("grace", "admin-page", 403),
        ("root", "admin-page", 200),
        ("root", "deploys", 200),
    ],
)
def test_groups_and_admins_open_their_pages(world: World, user: str, page: str, status: int) -> None:
    answer = world.call(f"/services/{page}/echo", world.token(user))
    assert answer.status_code == status
    if status == 403:
        assert f"{user} may not open" in answer.text


def test_who_may_not_open_a_page_is_told_so_after_the_login(browser: Browser) -> None:
    answer = browser.log_in("ada", PASSWORD, "/services/admin-page/echo")
    assert answer.status_code == 403


def test_a_right_that_is_taken_away_is_gone_within_seconds(world: World) -> None:
    assert world.ask_hub("POST", "/users/turing").status_code == 201
    token = world.token("turing")
    assert world.call("/services/deploys/echo", token).status_code == 403
    world.ask_hub("POST", "/groups/deployers/users", users=["turing"])
    wait_for(lambda: world.call("/services/deploys/echo", token).status_code == 200, "not let in", 10)
    world.ask_hub("DELETE", "/groups/deployers/users", users=["turing"])
    wait_for(lambda: world.call("/services/deploys/echo", token).status_code == 403, "still let in", 10)


@pytest.mark.parametrize(("user", "groups"), [("ada", "others"), ("grace", "deployers"), ("root", "admins")])
def test_the_back_end_is_told_the_groups(world: World, user: str, groups: str) -> None:
    assert told(world.call(f"{PAGE}/echo", world.token(user)))["x-metalworks-groups"] == [groups]


# What reaches a back end.


def test_nothing_of_the_hub_reaches_the_back_end(browser: Browser, world: World) -> None:
    browser.log_in("ada", PASSWORD, f"{PAGE}/echo")
    cookies = {cookie.value for cookie in browser.session.cookies}
    assert len(cookies) >= 3
    token = world.token("ada")
    for answer in (
        browser.fetch(f"{PAGE}/echo"),
        world.call(f"{PAGE}/echo", token, headers={"Cookie": "a=b"}),
    ):
        found = told(answer)
        assert not {"cookie", "authorization", "origin", "referer"} & found.keys()
        everything = str(found)
        assert token not in everything
        assert not any(value and value in everything for value in cookies)


@pytest.mark.parametrize(
    "name",
    [
        "X-Metalworks-User",
        "x-metalworks-groups",
        "X-Metalworks-Door",
        "X_Metalworks_User",
        "X-Metalworks-New",
    ],
)
def test_a_client_cannot_say_who_it_is(world: World, name: str) -> None:
    answer = world.call(f"{PAGE}/echo", world.token("ada"), headers={name: "root"})
    found = told(answer)
    assert "root" not in str(found)
    assert found["x-metalworks-user"] == ["ada"]
    assert found["x-metalworks-door"] == ["of-the-door"]


def test_a_client_cannot_have_the_name_taken_out(world: World) -> None:
    answer = world.call(
        f"{PAGE}/echo", world.token("ada"), headers={"Connection": "close, X-Metalworks-User"}
    )
    assert told(answer)["x-metalworks-user"] == ["ada"]


def test_only_the_page_whose_secret_it_is_gets_it(world: World) -> None:
    assert "x-metalworks-door" not in told(world.call("/services/whole/echo", world.token("ada")))


def test_the_back_end_is_told_where_it_is_seen_from(world: World) -> None:
    seen = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "Host": "hub.example"}
    found = told(world.call(f"{PAGE}/echo", world.token("ada"), headers=seen))
    assert found["x-forwarded-for"] == ["198.51.100.7, 127.0.0.1"]
    assert found["x-forwarded-proto"] == ["https"]
    assert found["x-forwarded-host"] == ["hub.example"]
    assert found["x-forwarded-prefix"] == [PAGE]
    assert found["host"] == [world.back_end.removeprefix("http://")]


def test_hop_by_hop_headers_end_at_the_door(world: World) -> None:
    sent = {
        "Connection": "keep-alive, X-Own",
        "X-Own": "1",
        "TE": "trailers",
        "Keep-Alive": "1",
        "X-Kept": "é",
    }
    found = told(
        world.call(f"{PAGE}/echo", world.token("ada"), headers={k: v.encode() for k, v in sent.items()})
    )
    assert not {"x-own", "te", "keep-alive"} & found.keys()
    assert found["x-kept"] == ["é"]


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        (f"{PAGE}/echo?a=%2F&b=+c", "/echo?a=%2F&b=+c"),
        (f"{PAGE}/%2Fa%20b/../c;d=1", "/%2Fa%20b/../c;d=1"),
        ("/services/whole/echo?x", "/services/whole/echo?x"),
    ],
)
def test_paths_arrive_as_they_were_written(world: World, path: str, arrives: str) -> None:
    request = requests.Request("GET", "http://x", headers={"Authorization": f"Bearer {world.token('ada')}"})
    prepared = request.prepare()
    prepared.url = world.url(path)
    with requests.Session() as session:
        assert session.send(prepared, timeout=30).json()["path"] == arrives


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_and_bodies_arrive(world: World, method: str) -> None:
    data = b"body" if method != "GET" else b""
    answer = world.call(f"{PAGE}/echo", world.token("ada"), method, data=data).json()
    assert (answer["method"], answer["size"]) == (method, len(data))


# What reaches a client.


def test_the_answers_headers_are_passed_on_except_for_those_that_are_not_the_clients(world: World) -> None:
    answer = world.call(f"{PAGE}/headers", world.token("ada"))
    assert answer.headers["X-Twice"] == "one, two"
    assert answer.headers["ETag"] == '"abc"'
    assert "X-Secret" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_an_answer_without_a_body_leaves_the_connection_usable(world: World, status: int) -> None:
    token = world.token("ada")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        for _ in range(2):
            answer = session.get(world.url(f"{PAGE}/headers?status={status}"), timeout=30)
            assert answer.status_code == status
        assert session.get(world.url(f"{PAGE}/echo"), timeout=30).status_code == 200
        head = session.head(world.url(f"{PAGE}/large?size=12345"), timeout=30)
        assert head.headers["Content-Length"] == "12345"


@pytest.mark.parametrize(
    ("to", "leads"),
    [
        ("/runs/", f"{PAGE}/runs/"),
        ("{back_end}/runs?x=1", f"{PAGE}/runs?x=1"),
        ("next", "next"),
        ("https://example.org/a", "https://example.org/a"),
        (f"{PAGE}/kept", f"{PAGE}/kept"),
    ],
)
def test_redirects_stay_under_the_pages_prefix(world: World, to: str, leads: str) -> None:
    query = {"status": "302", "to": to.format(back_end=world.back_end)}
    answer = world.call(f"{PAGE}/headers", world.token("ada"), params=query)
    assert answer.headers["Location"] == leads


# Requests of other origins.


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://{host}"}, 200),
        ("DELETE", {"Origin": "http://evil.example"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        (
            "GET",
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
            200,
        ),
        (
            "GET",
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
            403,
        ),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    ],
)
def test_a_cookie_works_only_for_requests_of_the_hubs_own_address(
    browser: Browser, world: World, method: str, headers: dict[str, str], status: int
) -> None:
    browser.log_in("ada", PASSWORD, f"{PAGE}/echo")
    host = world.door.removeprefix("http://")
    sent = {name: value.format(host=host) for name, value in headers.items()}
    answer = browser.ask(method, f"{PAGE}/echo", sent)
    assert answer.status_code == status, answer.text


def test_a_token_works_from_everywhere(world: World) -> None:
    answer = world.call(
        f"{PAGE}/echo", world.token("ada"), "POST", headers={"Origin": "http://other.example"}
    )
    assert answer.status_code == 200


# Large bodies.


PIECE = bytes(1 << 20)


def zeros() -> Iterator[bytes]:
    """A body of unknown length."""
    for _ in range(LARGE // len(PIECE)):
        yield PIECE


class Zeros:
    """The same body, of a length that requests can tell."""

    def __init__(self) -> None:
        self.left = LARGE

    def __len__(self) -> int:
        return LARGE

    def __iter__(self) -> Iterator[bytes]:
        return zeros()

    def read(self, size: int) -> bytes:
        piece = PIECE[: min(size, self.left)]
        self.left -= len(piece)
        return piece


@pytest.mark.parametrize("chunked", [False, True], ids=["with_a_length", "chunked"])
def test_an_upload_larger_than_the_memory_of_the_door_arrives_whole(world: World, chunked: bool) -> None:
    assert LARGE > MEMORY
    digest = hashlib.sha256()
    for piece in zeros():
        digest.update(piece)
    data = zeros() if chunked else Zeros()
    answer = world.call(f"{PAGE}/echo", world.token("ada"), "POST", data=data).json()
    assert (answer["size"], answer["sha256"]) == (LARGE, digest.hexdigest())
    sent = {name.lower() for name, _ in answer["headers"]}
    assert ("content-length" in sent) is not chunked


@pytest.mark.parametrize("query", ["", "&chunked"], ids=["with_a_length", "chunked"])
def test_a_download_larger_than_the_memory_of_the_door_arrives_whole(world: World, query: str) -> None:
    """The client reads slowly at first, so that the door has to wait for it."""
    answer = world.call(f"{PAGE}/large?size={LARGE}{query}", world.token("ada"), stream=True)
    size = 0
    for piece in answer.iter_content(1 << 20):
        if not size:
            time.sleep(1)
        size += len(piece)
    assert size == LARGE


def test_a_body_over_the_limit_is_refused_in_words(world: World) -> None:
    door, process = world.start_door("small", max_body_bytes=1000)
    token = {"Authorization": f"Bearer {world.token('ada')}"}
    for data in (b"x" * 1001, (b"x" * 600 for _ in range(2))):
        answer = requests.post(f"{door}{PAGE}/echo", data=data, headers=token, timeout=30)
        assert answer.status_code == 413
        assert "larger than 1000 bytes" in answer.text
    assert (
        requests.post(f"{door}{PAGE}/echo", data=b"x" * 1000, headers=token, timeout=30).json()["size"]
        == 1000
    )
    process.stop()


def test_an_answer_before_the_body_has_been_read_reaches_the_client(world: World) -> None:
    answer = world.call(f"{PAGE}/refuses", world.token("ada"), "POST", data=b"x" * 1000)
    assert (answer.status_code, answer.text) == (507, "no room\n")


def raw_upload(world: World, key: str, length: int) -> socket.socket:
    """Begin to send a body, as far as half of it."""
    host, port = world.door.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(
        f"POST {PAGE}/watched?key={key} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {world.token('ada')}\r\n"
        f"Content-Length: {length}\r\n\r\n".encode()
        + b"x" * (length // 2)
    )
    return connection


def what_was_seen(world: World, key: str) -> str:
    found = requests.get(f"{world.back_end}/watched", params={"key": key}, timeout=30).json()
    return str(found)


def test_a_client_who_leaves_in_the_middle_is_noticed_at_the_back_end(world: World) -> None:
    connection = raw_upload(world, "left", 1000)
    wait_for(lambda: what_was_seen(world, "left") == "begun", "the upload does not begin")
    connection.close()
    wait_for(
        lambda: what_was_seen(world, "left").startswith("broken"), "half a body passes for a whole one", 20
    )


def test_a_client_who_stops_in_the_middle_is_not_waited_for_without_end(world: World) -> None:
    connection = raw_upload(world, "stopped", 1000)
    wait_for(lambda: what_was_seen(world, "stopped") == "begun", "the upload does not begin")
    wait_for(lambda: what_was_seen(world, "stopped").startswith("broken"), "it is waited for", 20)
    connection.close()


def test_an_upload_may_take_longer_than_a_back_end_may_be_silent(world: World) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(6):
            yield b"x"
            time.sleep(world.settings["idle_seconds"] / 4)

    assert world.call(f"{PAGE}/echo", world.token("ada"), "POST", data=slowly()).json()["size"] == 6


# Back ends that fail.


def test_a_back_end_that_does_not_run_is_told_in_words(world: World, browser: Browser) -> None:
    answer = world.call("/services/gone/", world.token("ada"))
    assert answer.status_code == 503
    assert answer.text == "Gone does not run now, or does not answer. Try again in a moment.\n"
    assert answer.headers["Retry-After"]
    page = browser.log_in("ada", PASSWORD, "/services/gone/")
    assert page.status_code == 503
    assert page.headers["Content-Type"].startswith("text/html")
    assert "does not run now" in page.text


def test_a_back_end_that_is_silent_for_too_long_is_told_in_words(world: World) -> None:
    answer = world.call(f"{PAGE}/sleeps?seconds=10", world.token("ada"))
    assert answer.status_code == 504
    assert "has not answered for 3 s" in answer.text


@pytest.mark.parametrize("query", ["", "?chunked"], ids=["with_a_length", "chunked"])
def test_half_an_answer_does_not_pass_for_a_whole_one(world: World, query: str) -> None:
    with pytest.raises(requests.exceptions.RequestException):
        world.call(f"{PAGE}/breaks{query}", world.token("ada"))


def test_without_the_hub_nobody_is_let_in(world: World) -> None:
    door, process = world.start_door("lost", hub_api_url="http://127.0.0.1:1/hub/api")
    token = {"Authorization": f"Bearer {world.token('ada')}"}
    answer = requests.get(f"{door}{PAGE}/echo", headers=token, timeout=30)
    assert answer.status_code == 503
    assert "The hub does not answer now" in answer.text
    process.stop()


# Websockets.


def connect(world: World, *, token: str = "", door: str = "", **options: Any) -> websocket.WebSocket:
    headers = {**options.pop("header", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    url = (door or world.door).replace("http", "ws") + f"{PAGE}/socket"
    return websocket.create_connection(url, timeout=20, header=headers, **options)


def test_messages_go_both_ways(world: World) -> None:
    connection = connect(world, token=world.token("ada"), subprotocols=["first", "second"])
    assert connection.subprotocol == "second"
    found = {name.lower(): value for name, value in json.loads(connection.recv())}
    assert found["x-metalworks-user"] == "ada"
    assert found["origin"] == world.back_end
    assert "authorization" not in found
    connection.send("text é")
    assert connection.recv() == "text é"
    large = bytes(3 * 1024**2)
    connection.send_binary(large)
    assert connection.recv() == large
    connection.close()


def test_the_back_ends_close_code_arrives(world: World) -> None:
    connection = connect(world, token=world.token("ada"))
    connection.recv()
    connection.send("close")
    opcode, data = connection.recv_data(control_frame=True)
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 4001)
    connection.shutdown()


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://{host}", 101), ("http://evil.example", 403), ("", 403)],
    ids=["own", "other", "none"],
)
def test_a_websocket_with_a_cookie_needs_the_hubs_own_origin(
    browser: Browser, world: World, origin: str, status: int
) -> None:
    browser.log_in("ada", PASSWORD, f"{PAGE}/echo")
    cookie = "; ".join(f"{c.name}={c.value}" for c in browser.session.cookies if c.path in ("/", f"{PAGE}/"))
    host = world.door.removeprefix("http://")
    options: dict[str, Any] = {"origin": origin.format(host=host)} if origin else {"suppress_origin": True}
    if status == 101:
        connect(world, cookie=cookie, **options).close()
        return
    with pytest.raises(websocket.WebSocketBadStatusException) as failure:
        connect(world, cookie=cookie, **options)
    assert failure.value.status_code == status


def test_a_websocket_needs_a_login(world: World) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as failure:
        connect(world, token="wrong")
    assert failure.value.status_code == 401


def test_a_websocket_ends_when_its_token_does(world: World) -> None:
    token = world.token("ada", expires_in=3)
    connection = connect(world, token=token)
    connection.recv()
    opcode, data = connection.recv_data(control_frame=True)
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1008)
    connection.shutdown()


# The process.


def test_requests_that_run_are_finished_before_the_end(world: World) -> None:
    door, process = world.start_door("ends", drain_seconds=4)
    token = {"Authorization": f"Bearer {world.token('ada')}"}
    answers: list[requests.Response] = []
    running = threading.Thread(
        target=lambda: answers.append(
            requests.get(f"{door}{PAGE}/sleeps?seconds=2", headers=token, timeout=30)
        )
    )
    running.start()
    open_socket = connect(world, token=world.token("ada"), door=door)
    open_socket.recv()
    time.sleep(0.5)
    process.popen.terminate()
    wait_for(
        lambda: requests.get(f"{door}/healthz", timeout=5).status_code == 503, "still ready", 5, every=0.05
    )
    # The cluster still sends requests for a moment.
    assert requests.get(f"{door}{PAGE}/echo", headers=token, timeout=30).status_code == 200
    running.join()
    assert [answer.text for answer in answers] == ["awake\n"]
    opcode, data = open_socket.recv_data(control_frame=True)
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1001)
    open_socket.shutdown()
    assert process.popen.wait(30) == 0, process.log.read_text()


def test_a_session_outlives_a_restart_of_the_door(browser: Browser, world: World) -> None:
    browser.log_in("ada", PASSWORD, f"{PAGE}/echo")
    before = world.door
    try:
        world.door, process = world.start_door("again")
        assert browser.fetch(f"{PAGE}/echo").status_code == 200
        process.stop()
    finally:
        world.door = before


def test_metrics_count_requests_and_show_no_secret(world: World) -> None:
    world.call(f"{PAGE}/echo", world.token("ada"), "POST", data=b"12345")

    def metrics() -> str:
        return requests.get(f"{world.door}/metrics", timeout=30).text

    for wanted in (
        'door_requests_total{code="200",method="POST",page="mlflow"}',
        'door_bytes_total{direction="in",page="mlflow"}',
        'door_requests_running{page="mlflow"} 0.0',
    ):
        # A request ends after its client has the answer, and so may one of an earlier test.
        wait_for(lambda wanted=wanted: wanted in metrics(), f"{wanted} is not among the metrics", 30, 0.1)
    assert "ada" not in metrics()


def test_the_log_names_the_visitor_and_no_secret(world: World) -> None:
    token = world.token("ada")
    world.call(f"{PAGE}/echo?key=in-the-query", token)
    path = next(process.log for process in world.processes if process.log.name == "door.log")
    wait_for(lambda: f"mlflow ada GET {PAGE}/echo 200" in path.read_text(), "the request is not logged", 10)
    log = path.read_text()
    for secret in (token, "in-the-query", "of-the-door", "c" * 64):
        assert secret not in log


@pytest.mark.parametrize("path", ["/", "/services/", "/services/other/", "/services/mlflowx/"])
def test_other_addresses_have_nothing(world: World, path: str) -> None:
    answer = world.call(path, world.token("ada"))
    assert (answer.status_code, answer.text) == (404, "The door has no such page.\n")
