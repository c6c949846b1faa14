"""The model server as a process: answers, versions, overload, the end, and life without the registry."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from metalworks_model.data.prepare import Purchases
from metalworks_model.models.artifact import ArtifactProblem, load, save
from metalworks_model.models.kinds import open_model
from metalworks_model.models.recommender import READY, Recommender, Task
from metalworks_model.models.registry import FolderRegistry
from metalworks_model.models.tensors import texts
from metalworks_model.serve import oip
from metalworks_model.train import ease

from .conftest import PARAMETERS, Process, some_user

INFER = "/v2/models/recommender/infer"


def user_input(*users: str) -> dict[str, object]:
    return {"inputs": [{"name": "user", "datatype": "BYTES", "shape": [len(users)], "data": list(users)}]}


@pytest.fixture(scope="module")
def model(artifact: Path) -> Recommender:
    """The model as it is served."""
    found = open_model(artifact)
    assert isinstance(found, Recommender)
    return found


# What the model answers


def test_scores_are_the_weights_times_the_history(model: Recommender, bought: Purchases) -> None:
    fitted = ease.fit(bought, PARAMETERS)
    items, kept = ease.served(fitted, bought)
    weights = np.zeros(fitted.inverse.shape, np.float32)
    np.put_along_axis(weights, items.astype(np.int64), kept, axis=1)
    rows = ease.history(bought, PARAMETERS, fitted.reference)
    for user in (0, 5, len(bought.users) - 1):
        history = model.history(str(bought.users[user]))
        found = model.scores(history, Task.NEW)
        mine = np.zeros(len(found), bool)
        mine[history.items] = True
        np.testing.assert_allclose(found[~mine], (rows[[user]] @ weights)[0][~mine], rtol=1e-4, atol=1e-6)
        assert np.isneginf(found[mine]).all()


def test_a_customer_gets_nothing_new_that_he_bought_and_what_he_buys_often_again(
    model: Recommender, bought: Purchases
) -> None:
    user = some_user(bought)
    owned = {model.items[each] for each in model.history(user).items.tolist()}
    new = model.recommend(model.history(user), 10, Task.NEW, user)
    again = model.recommend(model.history(user), 10, Task.AGAIN, user)
    assert not owned & {each.item for each in new}
    assert any(each.because.reason == "bought_before" and each.because.baskets > 1 for each in again)


def test_ready_answers_are_those_that_would_be_computed(model: Recommender, bought: Purchases) -> None:
    for user in bought.users[::7].tolist():
        for count in (1, 20, READY, READY + 1):
            ready, computed = model.best_of(user, count, Task.NEW), model.best(model.history(user), count)
            assert ready[0].tolist() == computed[0].tolist()
            assert ready[1].tolist() == computed[1].tolist()


def test_a_reason_is_the_part_of_the_score_that_counts_most(model: Recommender) -> None:
    first, second = model.items[0], model.items[1]
    history, _ = model.basket([first, second])
    for each in model.recommend(history, 10):
        if each.because.reason != "bought_together":
            continue
        alone = {
            item: dict(
                zip(
                    *(part.tolist() for part in model.best(model.basket([item])[0], len(model.items) - 1)),
                    strict=True,
                )
            )
            for item in (first, second)
        }
        place = model.items.index(each.item)
        other = second if each.because.item == first else first
        assert alone[each.because.item].get(place, 0) >= alone[other].get(place, 0)


def test_a_stranger_gets_what_is_popular(model: Recommender, bought: Purchases) -> None:
    found = model.recommend(model.history("no such customer, with a very long name"), 5)
    assert [each.because.reason for each in found] == ["popular"] * 5
    customers = [len(np.unique(bought.user[bought.item == model.items.index(each.item)])) for each in found]
    assert customers == sorted(customers, reverse=True)


def test_a_customer_who_bought_nearly_all_gets_the_rest(model: Recommender) -> None:
    history, unknown = model.basket([*model.items[:-3], "nothing"])
    assert unknown == ["nothing"]
    assert len(model.recommend(history, 20)) == 3


def test_damaged_files_are_refused(artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(artifact, folder)
    content = bytearray((folder / "weights.npy").read_bytes())
    content[-1] ^= 1
    (folder / "weights.npy").write_bytes(content)
    with pytest.raises(ArtifactProblem, match=r"weights.npy is not what was written"):
        load(folder)
    (folder / "weights.npy").unlink()
    with pytest.raises(ArtifactProblem, match=r"lacks weights.npy"):
        load(folder)


# What the server answers


def test_recommend_for_a_user_and_for_a_basket(
    shared: Process, bought: Purchases, model: Recommender
) -> None:
    user = some_user(bought)
    by_query = shared.ask("GET", f"/recommend?user={user}&count=3").json
    by_body = shared.ask("POST", "/recommend", {"user": user, "count": 3}).json
    assert by_query["items"] == by_body["items"]
    assert (by_query["model_name"], by_query["model_version"], by_query["known"]) == (
        "recommender",
        "1",
        True,
    )
    assert [each["item"] for each in by_query["items"]] == [
        each.item for each in model.recommend(model.history(user), 3)
    ]
    basket = shared.ask("POST", "/recommend", {"basket": [model.items[0], "none"], "count": 2}).json
    assert (basket["known"], basket["unknown_items"], len(basket["items"])) == (True, ["none"], 2)
    stranger = shared.ask("GET", "/recommend?user=999999999&count=2").json
    assert stranger["known"] is False
    assert stranger["items"][0]["because"]["reason"] == "popular"


def test_infer_gives_what_recommend_gives(shared: Process, bought: Purchases) -> None:
    users = bought.users[:3].tolist()
    answer = shared.ask("POST", INFER, user_input(*users) | {"id": "mine", "parameters": {"count": 4}}).json
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("mine", "recommender", "1")
    item, score = answer["outputs"]
    assert (item["shape"], score["shape"], score["datatype"]) == ([3, 4], [3, 4], "FP32")
    for row, user in enumerate(users):
        expected = shared.ask("GET", f"/recommend?user={user}&count=4").json["items"]
        assert item["data"][row * 4 : row * 4 + 4] == [each["item"] for each in expected]


def test_a_request_for_many_is_bounded_and_takes_no_longer_for_each(
    shared: Process, model: Recommender, bought: Purchases, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    possible = Recommender._possible
    monkeypatch.setattr(
        Recommender, "_possible", lambda self, *its: looked.append(len(its[0])) or possible(self, *its)
    )
    model.infer({"user": texts([some_user(bought)] * 1000)}, {})
    model.infer({"basket": texts(model.items[:9]).reshape(9, 1)}, {})
    assert looked == [1000, 9]
    known = 'metalworks_model_customers_total{known="no"'
    before = shared.metric(known)
    for name, shape in (("user", [1001]), ("basket", [1001, 1]), ("basket", [1, 1001])):
        tensor = {"name": name, "datatype": "BYTES", "shape": shape, "data": [model.items[0]] * 1001}
        answer = shared.ask("POST", INFER, {"inputs": [tensor]})
        assert answer.status == 400
        assert "at most 1000 rows" in answer.json["error"]
    assert shared.metric(known) == before


@pytest.mark.parametrize("part", ["data", "parameters", "unknown"])
@pytest.mark.parametrize("depth", [200, 5000])
def test_what_is_nested_deeply_is_refused_or_ignored(shared: Process, part: str, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    parts = {"data": '["1"]', "parameters": "{}", "unknown": "1"} | {part: nested}
    if part == "data":
        parts["data"] = f"[{nested}]"
    if part == "parameters":
        parts["parameters"] = f'{{"count":{nested}}}'
    body = (
        f'{{"inputs":[{{"name":"user","datatype":"BYTES","shape":[1],"data":{parts["data"]}}}],'
        f'"parameters":{parts["parameters"]},"unknown":{parts["unknown"]}}}'
    )
    expected = 200 if (part, depth) == ("unknown", 200) else 400
    assert shared.ask("POST", INFER, body.encode()).status == expected


def test_a_target_may_be_a_whole_address(shared: Process) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        connection.sendall(b"GET http://recommender:8080/recommend?user=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_reasons_are_given_where_they_are_asked_for(shared: Process, bought: Purchases) -> None:
    body = user_input(some_user(bought)) | {"outputs": [{"name": "because"}]}
    (output,) = shared.ask("POST", INFER, body).json["outputs"]
    assert output["name"] == "because"
    assert json.loads(output["data"][0])["reason"] in ("bought_together", "popular")


def test_health_and_metadata(shared: Process) -> None:
    assert shared.ask("GET", "/v2/health/live").status == 200
    assert shared.ask("GET", "/v2").json["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/recommender", "/v2/models/recommender/versions/1"):
        found = shared.ask("GET", path).json
        assert (found["name"], found["versions"]) == ("recommender", ["1"])
        assert found["inputs"][0] == {"name": "user", "datatype": "BYTES", "shape": [-1]}
    assert shared.ask("GET", "/v2/models/recommender/versions/1/ready").json["ready"] is True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("binary", [True, False])
def test_a_foreign_client_of_the_protocol_is_answered(
    shared: Process, bought: Purchases, binary: bool
) -> None:
    client = pytest.importorskip("tritonclient.http")
    server = client.InferenceServerClient(f"127.0.0.1:{shared.port}")
    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready("recommender")
    assert server.get_model_metadata("recommender")["platform"] == "metalworks_recommender"
    assert server.get_server_metadata()["name"] == "metalworks_model"
    user = some_user(bought)
    given = client.InferInput("user", [1], "BYTES")
    given.set_data_from_numpy(np.array([user.encode()], object), binary_data=binary)
    wanted = [client.InferRequestedOutput(name, binary_data=binary) for name in ("item", "score")]
    for outputs in (wanted, None):
        found = server.infer("recommender", [given], outputs=outputs, request_id="7")
        assert found.get_response()["id"] == "7"
        items = [each.decode() if isinstance(each, bytes) else each for each in found.as_numpy("item")[0]]
        expected = shared.ask("GET", f"/recommend?user={user}").json["items"]
        assert items == [each["item"] for each in expected]
        np.testing.assert_allclose(
            found.as_numpy("score")[0], [each["score"] for each in expected], atol=1e-5
        )
    with pytest.raises(Exception, match="there is no model 'other'"):
        server.infer("other", [given])
    server.close()


def test_numbers_travel_in_both_forms() -> None:
    for datatype, kind in oip.TYPES.items():
        values = np.array([0, 1, 1], kind)
        raw = oip.Input("x", [3], datatype, {"binary_data_size": values.nbytes})
        plain = oip.Input("x", [3], datatype, data=values.tolist())
        tensor = oip.Tensor("x", datatype, (-1,))
        for given, rest in ((raw, values.tobytes()), (plain, b"")):
            request = oip.InferRequest([given])
            found = oip.read_inputs(request, memoryview(rest), [tensor])["x"]
            assert found.tolist() == values.tolist()
            assert found.dtype == values.dtype
    assert oip._to_bytes(texts(["ä", ""])) == b"\x02\x00\x00\x00\xc3\xa4\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("datatype", "raw", "says"),
    [
        ("BYTES", b"\x05\x00\x00\x00ab", "the bytes end within an element"),
        ("BYTES", b"\x05\x00", "the bytes end within a length"),
        ("BYTES", b"\x01\x00\x00\x00\xff", "element 0 is not UTF-8"),
        ("BYTES", b"", "has 0 elements, and its shape says 1"),
        ("FP32", b"\x00\x00\xc0\x7f", "not a finite number"),
        ("INT64", b"\x00", "has 1 bytes, and needs 8"),
    ],
)
def test_broken_binary_data_is_refused(datatype: str, raw: bytes, says: str) -> None:
    request = oip.InferRequest([oip.Input("x", [1], datatype, {"binary_data_size": len(raw)})])
    with pytest.raises(oip.BadInput, match=says):
        oip.read_inputs(request, memoryview(raw), [oip.Tensor("x", datatype, (-1,))])


def test_the_request_id_goes_through_and_a_bad_one_is_replaced(shared: Process) -> None:
    assert shared.ask("GET", "/v2/health/live", X_Request_Id="abc-1").headers["x-request-id"] == "abc-1"
    assert shared.ask("GET", "/v2/health/live", X_Request_Id="a b").headers["x-request-id"] != "a b"


def test_the_access_log_is_json_with_the_request_id(shared: Process) -> None:
    shared.ask("GET", "/recommend?user=1", X_Request_Id="find-me")
    shared.until(lambda: "find-me" in shared.log.read_text())
    line = next(json.loads(each) for each in shared.log.read_text().splitlines() if "find-me" in each)
    assert (line["path"], line["status"], line["version"], line["method"]) == ("/recommend", 200, "1", "GET")
    assert shared.ask("GET", "/v2/health/live").status == 200
    time.sleep(0.3)
    assert "/v2/health/live" not in shared.log.read_text()


def test_metrics_are_by_model_version(shared: Process) -> None:
    start = 'metalworks_model_requests_total{model="recommender",route="recommend",status="200",version="1"}'
    before = shared.metric(start)
    shared.ask("GET", "/recommend?user=999999999")
    assert shared.metric(start) == before + 1
    assert shared.metric('metalworks_model_customers_total{known="no"') >= 1


def test_requests_sent_ahead_are_answered_in_order(shared: Process) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        requests = [
            f"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX-Request-Id: n{each}\r\n\r\n" for each in range(50)
        ]
        connection.sendall("".join(requests).encode() + b"nonsense\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    found = [line.partition(b": ")[2] for line in answer.split(b"\r\n") if line.startswith(b"X-Request-Id")]
    assert found == [*(f"n{each}".encode() for each in range(50)), b"-"]


def test_the_offer_of_another_protocol_is_ignored(shared: Process) -> None:
    offer = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        for _ in range(2):
            connection.sendall(offer)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_body_in_pieces_is_one_request(shared: Process) -> None:
    body = b'{"user":"1"}'
    head = b"POST /recommend HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    with socket.create_connection(("127.0.0.1", shared.port), 10) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for at in range(len(body)):
            connection.sendall(body[at : at + 1])
            time.sleep(0.002)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


# Versions


def test_a_new_champion_is_served_without_a_restart(
    serve: Callable[..., Process], registry: FolderRegistry
) -> None:
    server = serve(registry)
    failed, seen, ended = [], set(), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answer = server.ask("GET", "/recommend?user=1")
            seen.add(answer.json.get("model_version"))
            if answer.status != 200:
                failed.append(answer)

    thread = threading.Thread(target=ask)
    thread.start()
    registry.point("recommender", "champion", "2")
    server.until(lambda: server.ask("GET", "/recommend?user=1").json["model_version"] == "2")
    registry.point("recommender", "champion", "1")  # and back: no file is fetched again
    server.until(lambda: server.ask("GET", "/recommend?user=1").json["model_version"] == "1")
    ended.set()
    thread.join()
    assert failed == []
    assert seen == {"1", "2"}


def test_a_damaged_version_is_not_served(serve: Callable[..., Process], registry: FolderRegistry) -> None:
    server = serve(registry)
    (registry.root / "recommender" / "versions" / "2" / "items.npy").write_bytes(b"nothing")
    registry.point("recommender", "champion", "2")
    server.until(lambda: server.metric("metalworks_model_registry_failures") >= 2)
    assert server.ask("GET", "/recommend?user=1").json["model_version"] == "1"
    assert "items.npy is not what was written" in server.log.read_text()


def test_a_pinned_version_is_served_whatever_the_champion_is(
    serve: Callable[..., Process], registry: FolderRegistry
) -> None:
    assert serve(registry, model_version="2").ask("GET", "/recommend?user=1").json["model_version"] == "2"


def test_a_candidate_answers_its_share_of_customers_and_the_same_ones(
    serve: Callable[..., Process], registry: FolderRegistry, artifact: Path
) -> None:
    third = registry.publish("recommender", artifact, {"canary_share": "0.3"}, {})
    registry.point("recommender", "candidate", third)
    server = serve(registry)

    def versions() -> list[str]:
        return [server.ask("GET", f"/recommend?user={each}").json["model_version"] for each in range(300)]

    first = versions()
    assert 0.2 < first.count("3") / 300 < 0.4
    assert versions() == first
    assert (
        server.ask("POST", "/v2/models/recommender/versions/3/infer", user_input("1")).json["model_version"]
        == "3"
    )
    registry.point("recommender", "candidate", None)
    server.until(lambda: "3" not in versions()[:50])


def test_a_damaged_candidate_is_left_out_and_keeps_no_champion_from_serving(
    serve: Callable[..., Process], registry: FolderRegistry, artifact: Path
) -> None:
    third = registry.publish("recommender", artifact, {"canary_share": "0.5"}, {})
    (registry.root / "recommender" / "versions" / third / "items.npy").write_bytes(b"nothing")
    registry.point("recommender", "candidate", third)
    server = serve(registry)
    registry.point("recommender", "champion", "2")
    server.until(lambda: server.ask("GET", "/v2/models/recommender/ready").json["version"] == "2")
    assert {server.ask("GET", f"/recommend?user={each}").json["model_version"] for each in range(50)} == {"2"}
    ready = server.ask("GET", "/v2/models/recommender/ready").json
    assert ready["problem"].startswith("the candidate, version 3, is left out")
    assert server.ask("GET", "/v2/models/recommender/versions/3/ready").status == 404
    assert server.metric("metalworks_model_candidate_share") == 0
    assert server.log.read_text().count("is left out") == 1


def test_an_error_counts_for_the_version_that_made_it(
    serve: Callable[..., Process], registry: FolderRegistry, artifact: Path, tmp_path: Path, bought: Purchases
) -> None:
    card, arrays = load(artifact)
    save(tmp_path / "narrow", card, {**arrays, "weights": arrays["weights"][:, :1]})
    third = registry.publish("recommender", tmp_path / "narrow", {"canary_share": "0.5"}, {})
    registry.point("recommender", "candidate", third)
    server = serve(registry)
    answers = [server.ask("GET", f"/recommend?user={each}") for each in bought.users[:40]]
    assert {(each.json["model_version"], each.status) for each in answers} == {("1", 200), ("3", 500)}
    failed = sum(each.status == 500 for each in answers)
    labels = 'model="recommender",route="recommend"'
    assert server.metric(f'metalworks_model_requests_total{{{labels},status="500",version="3"}}') == failed
    assert server.metric(f'metalworks_model_own_seconds_count{{{labels},version="3"}}') == failed
    assert server.metric(f'metalworks_model_own_seconds_count{{{labels},version="1"}}') == 40 - failed


def test_histories_are_of_the_version_that_recommends_and_the_list_of_customers_is_the_champions(
    serve: Callable[..., Process], registry: FolderRegistry, artifact: Path, tmp_path: Path, bought: Purchases
) -> None:
    card, arrays = load(artifact)
    save(tmp_path / "nameless", card, {**arrays, "names": arrays["names"][:1]})
    third = registry.publish("recommender", tmp_path / "nameless", {"canary_share": "0.5"}, {})
    registry.point("recommender", "candidate", third)
    server = serve(registry)
    users = bought.users[:40].tolist()
    answers = [server.ask("GET", f"/history?user={each}") for each in users]
    assert {(each.json["model_version"], each.status) for each in answers} == {("1", 200), ("3", 500)}
    labels = 'model="recommender",route="catalogue"'
    failed = sum(each.status == 500 for each in answers)
    assert server.metric(f'metalworks_model_requests_total{{{labels},status="500",version="3"}}') == failed
    assert server.metric(f'metalworks_model_own_seconds_count{{{labels},version="3"}}') == failed
    for path in ("/customers", f"/customers?user={users[0]}"):
        assert server.ask("GET", path).json["model_version"] == "1"


def test_it_serves_without_its_registry_also_after_a_restart(
    serve: Callable[..., Process], registry: FolderRegistry
) -> None:
    first = serve(registry)
    shutil.move(registry.root, registry.root.with_name("gone"))
    first.until(lambda: first.metric("metalworks_model_registry_failures") >= 2)
    assert first.ask("GET", "/recommend?user=1").status == 200
    assert first.stop() == 0
    assert serve(registry).ask("GET", "/recommend?user=1").json["model_version"] == "1"


def test_it_is_live_but_not_ready_until_there_is_a_model(
    serve: Callable[..., Process], tmp_path: Path
) -> None:
    empty = FolderRegistry(tmp_path / "empty")
    server = serve(empty, wait=False)
    assert server.ask("GET", "/v2/health/live").status == 200
    for path in ("/recommend?user=1", "/v2/models/recommender", "/customers"):
        answer = server.ask("GET", path)
        assert (answer.status, answer.json["error"]) == (503, "no version is loaded yet")
        assert answer.headers["retry-after"] == "1"


# Overload and the end


def test_a_full_queue_is_refused_at_once_and_in_order(
    serve: Callable[..., Process], registry: FolderRegistry
) -> None:
    server = serve(registry, queue=2)
    connections = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(200)]
    body = json.dumps(user_input(*["1"] * 500)).encode()
    request = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (
        INFER.encode(),
        len(body),
        body,
    )
    for each in connections:
        each.sendall(request)
    statuses, refused = [], b""
    for each in connections:
        answer = http.client.HTTPResponse(each)
        answer.begin()
        content = answer.read()
        statuses.append(answer.status)
        if answer.status == 429:
            refused = content
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Connection"] is None  # the connection stays, and the next request may fit
        each.close()
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 2  # all may arrive before the first one leaves the queue
    assert json.loads(refused)["error"] == "the queue is full: try again later"
    assert server.ask("GET", "/recommend?user=1").status == 200


def test_the_end_loses_no_request(serve: Callable[..., Process], registry: FolderRegistry) -> None:
    server = serve(registry, linger=2)
    elsewhere = threading.Event()  # the Service sends new connections to other pods
    failed: list[str] = []
    answered, closed = [0], [0]

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not (elsewhere.is_set() and connection.sock is None):
            try:
                connection.request("GET", "/recommend?user=1")
                answer = connection.getresponse()
                answer.read()
            except OSError as problem:
                failed.append(repr(problem))
                return
            answered[0] += 1
            if answer.status != 200:
                failed.append(str(answer.status))
            if answer.headers["Connection"] == "close":
                closed[0] += 1
                connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    server.until(lambda: answered[0] > 100)
    server.popen.send_signal(signal.SIGTERM)
    server.until(lambda: closed[0] > 20)
    elsewhere.set()
    assert server.popen.wait(60) == 0
    for each in threads:
        each.join()
    assert failed == []


def test_a_client_that_is_slow_or_idle_does_not_stay_for_ever(
    serve: Callable[..., Process], registry: FolderRegistry
) -> None:
    server = serve(registry, idle_timeout=1)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.settimeout(5)
        assert connection.recv(1) == b""
