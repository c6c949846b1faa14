"""The door in a cluster: behind the hub's proxy, with the hub's login, before back ends elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
from tests.support.hub import Browser, Hub, address_of_hub
from tests.support.pods import run_in_pod
from tests.support.scenario import converge_again
from tests.support.waiting import wait_for

from kubernetes import client

SCENARIO = Path(__file__).resolve().parents[1]
NAMESPACE = "jupyterhub"
TOKEN = hashlib.sha256(b"api").hexdigest()
PASSWORDS = {"ada": "first-programmer", "grace": "first-compiler", "root-of-all": "administrates-it"}
PAGE = "/services/mlflow"
# More than the door may have in memory: see vars.yml.
LARGE = 300 * 1024**2


@pytest.fixture(scope="module")
def url(core: client.CoreV1Api) -> str:
    return address_of_hub(core)


@pytest.fixture(scope="module")
def hub(url: str) -> Hub:
    return Hub(url, TOKEN)


def new_browser(url: str) -> Browser:
    return Browser(lambda path: url + path)


@pytest.fixture
def browser(url: str) -> Iterator[Browser]:
    found = new_browser(url)
    with found.session:
        yield found


@pytest.fixture(scope="module")
def tokens(url: str) -> dict[str, str]:
    """A token of each user, made as people make it: logged in, at the hub."""
    return {user: token_of(url, user) for user in PASSWORDS}


def token_of(url: str, user: str) -> str:
    browser = new_browser(url)
    with browser.session:
        browser.log_in(user, PASSWORDS[user])
        answer = browser.ask(
            "POST",
            f"/hub/api/users/{user}/tokens",
            {"X-XSRFToken": browser.xsrf("/hub/"), "Referer": f"{url}/hub/home"},
            json={"note": "test"},
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]


def call(url: str, path: str, token: str, method: str = "GET", **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
    return requests.request(method, url + path, headers=headers, timeout=60, allow_redirects=False, **options)


def told(answer: requests.Response) -> dict[str, str]:
    """The headers that reached the back end."""
    assert answer.status_code == 200, answer.text
    return {name.lower(): value for name, value in answer.json()["headers"]}


# The login.


def test_one_login_opens_all_pages_and_logging_out_closes_them(browser: Browser) -> None:
    browser.log_in("ada", PASSWORDS["ada"])
    for page in ("mlflow", "deploys"):
        browser.visited.clear()
        assert told(browser.visit(f"/services/{page}/echo"))["x-metalworks-user"] == "ada"
        assert not any("/hub/login" in path for path in browser.visited), browser.visited
    browser.log_out()
    for page in ("mlflow", "deploys"):
        assert browser.fetch(f"/services/{page}/echo").status_code == 401
        answer = browser.visit(f"/services/{page}/echo")
        assert "/hub/login" in browser.visited[-1]
        assert "x-metalworks-user" not in answer.text.lower()


@pytest.mark.parametrize(
    ("user", "pages"),
    [
        ("ada", {"MLflow", "deploys", "gone"}),
        ("grace", {"MLflow", "gone"}),
        ("root-of-all", {"MLflow", "deploys", "logs", "gone"}),
    ],
)
def test_the_home_page_lists_what_the_visitor_may_open(browser: Browser, user: str, pages: set[str]) -> None:
    home = browser.log_in(user, PASSWORDS[user]).text
    listed = home.partition('id="pages"')[2].partition("</ul>")[0]
    found = {line.partition(">")[2].partition("<")[0] for line in listed.splitlines() if "<a " in line}
    assert found == pages
    assert "Runs and models." in listed
    assert 'href="/services/mlflow/"' in listed


# Rights.


@pytest.mark.parametrize(
    ("user", "page", "status"),
    [
        ("ada", "mlflow", 200),
        ("ada", "deploys", 200),
        ("ada", "logs", 403),
        ("grace", "mlflow", 200),
        ("grace", "deploys", 403),
        ("grace", "logs", 403),
        ("root-of-all", "deploys", 200),
        ("root-of-all", "logs", 200),
    ],
)
def test_groups_of_the_inventory_open_pages(
    url: str, tokens: dict[str, str], user: str, page: str, status: int
) -> None:
    assert call(url, f"/services/{page}/echo", tokens[user]).status_code == status


def test_the_back_end_learns_who_it_is_and_not_from_the_client(url: str, tokens: dict[str, str]) -> None:
    forged = {"X-Metalworks-User": "root-of-all", "X-Metalworks-Groups": "admins", "Cookie": "a=b"}
    found = told(call(url, f"{PAGE}/echo", tokens["ada"], headers=forged))
    assert found["x-metalworks-user"] == "ada"
    assert found["x-metalworks-groups"] == "deployers"
    assert found["x-metalworks-door"] == "the-secret-of-the-page"
    assert not {"cookie", "authorization"} & found.keys()
    assert tokens["ada"] not in str(found)
    assert told(call(url, f"{PAGE}/echo", tokens["root-of-all"]))["x-metalworks-groups"] == "admins"


@pytest.mark.parametrize("token", ["", "0" * 32], ids=["none", "unknown"])
def test_without_a_token_that_the_hub_knows_there_is_no_page(url: str, token: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = requests.request(
            method,
            f"{url}{PAGE}/echo",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=30,
        )
        assert answer.status_code == 401
        assert "x-metalworks-user" not in answer.text.lower()


def test_a_member_who_leaves_a_group_loses_its_page(url: str, hub: Hub, tokens: dict[str, str]) -> None:
    assert call(url, "/services/deploys/echo", tokens["ada"]).status_code == 200
    try:
        converge_again(SCENARIO, "cluster.yml", jupyterhub_groups={"deployers": ["grace"]})
        wait_for(hub.answers, "the hub does not come back")
        for user, status in (("ada", 403), ("grace", 200)):
            wait_for(
                lambda user=user, status=status: (  # type: ignore[misc]
                    call(url, "/services/deploys/echo", tokens[user]).status_code == status
                ),
                f"{user} does not get {status}",
                90,
            )
    finally:
        converge_again(SCENARIO, "cluster.yml")
        wait_for(
            lambda: call(url, "/services/deploys/echo", tokens["ada"]).status_code == 200, "ada is not let in"
        )


# From a notebook.


@pytest.fixture(scope="module")
def notebook(hub: Hub, tokens: dict[str, str]) -> str:
    """The pod of ada's server. She has logged in, so that the hub knows her."""
    hub.stop("ada")
    hub.start("ada", "minimal")
    return "jupyter-ada"


def run_in(core: client.CoreV1Api, pod: str, *command: str) -> str:
    return run_in_pod(core, NAMESPACE, pod, *command).strip()


ASK = """
import os, urllib.request
request = urllib.request.Request(os.environ["MLFLOW_TRACKING_URI"] + "/echo", data=b"12345",
                                 headers={"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]})
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


def test_a_notebook_reaches_mlflow_through_the_door_as_its_user(
    core: client.CoreV1Api, notebook: str
) -> None:
    answer = json.loads(run_in(core, notebook, "python", "-c", ASK).replace("'", '"'))
    assert (answer["path"], answer["size"]) == ("/echo", 5)
    found = {name.lower(): value for name, value in answer["headers"]}
    assert found["x-metalworks-user"] == "ada"
    assert found["x-metalworks-groups"] == "deployers"
    assert "authorization" not in found


CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=8).close()
    print("reached")
except OSError as error:
    print("blocked", error)
"""


@pytest.mark.parametrize(
    ("host", "port", "reached"),
    [
        ("object-store.object-store.svc.cluster.local", 7070, True),
        ("proxy-public", 80, True),
        ("mlflow.mlflow.svc.cluster.local", 5000, False),
        ("door", 8080, False),
        ("kubernetes.default", 443, False),
    ],
)
def test_a_notebook_reaches_the_store_and_nothing_else_of_the_platform(
    core: client.CoreV1Api, notebook: str, host: str, port: int, reached: bool
) -> None:
    def found() -> str:
        return run_in(core, notebook, "python", "-c", CONNECT, host, str(port))

    if reached:
        wait_for(lambda: found() == "reached", f"{host}:{port} is not reached", 30)
    else:
        assert found().startswith("blocked")


def test_a_notebook_has_its_users_credential_and_variables(core: client.CoreV1Api, notebook: str) -> None:
    found = dict(line.split("=", 1) for line in run_in(core, notebook, "env").splitlines() if "=" in line)
    assert found["S3_PREFIX"] == "s3://user-ada"
    assert found["AWS_ENDPOINT_URL"] == "http://object-store.object-store.svc.cluster.local:7070"
    assert found["MLFLOW_TRACKING_TOKEN"] == found["JUPYTERHUB_API_TOKEN"]
    for variable, content in (("AWS_SHARED_CREDENTIALS_FILE", "of ada"), ("AWS_CONFIG_FILE", "region")):
        assert run_in(core, notebook, "cat", found[variable]) == content
    assert run_in(core, notebook, "cat", found["DVC_SYSTEM_CONFIG_DIR"] + "/config") == "remote"


def test_a_user_without_a_credential_can_work(
    hub: Hub, core: client.CoreV1Api, tokens: dict[str, str]
) -> None:
    hub.start("grace", "minimal")
    assert "credentials" not in run_in(core, "jupyter-grace", "ls", "/etc/object-store")
    hub.stop("grace")


# What goes through.


def pieces(size: int) -> Iterator[bytes]:
    piece = bytes(1 << 20)
    for _ in range(size // len(piece)):
        yield piece


def test_a_body_larger_than_the_doors_memory_goes_both_ways(url: str, tokens: dict[str, str]) -> None:
    digest = hashlib.sha256()
    for piece in pieces(LARGE):
        digest.update(piece)
    sent = call(url, f"{PAGE}/echo", tokens["ada"], "POST", data=pieces(LARGE)).json()
    assert (sent["size"], sent["sha256"]) == (LARGE, digest.hexdigest())
    answer = call(url, f"{PAGE}/large?size={LARGE}", tokens["ada"], stream=True)
    assert sum(len(piece) for piece in answer.iter_content(1 << 20)) == LARGE


def test_a_websocket_goes_through_both_proxies(url: str, tokens: dict[str, str]) -> None:
    address = f"{url.replace('http', 'ws')}{PAGE}/socket"
    connection = websocket.create_connection(
        address, timeout=30, header={"Authorization": f"Bearer {tokens['ada']}"}
    )
    found = {name.lower(): value for name, value in json.loads(connection.recv())}
    assert found["x-metalworks-user"] == "ada"
    connection.send("over and out")
    assert connection.recv() == "over and out"
    connection.close()
    with pytest.raises(websocket.WebSocketBadStatusException) as failure:
        websocket.create_connection(address, timeout=30)
    assert failure.value.status_code == 401


def test_a_page_whose_back_end_is_gone_says_so(url: str, browser: Browser) -> None:
    answer = browser.log_in("ada", PASSWORDS["ada"], "/services/gone/")
    assert answer.status_code == 503
    assert "gone does not run now" in answer.text


def test_a_back_end_that_comes_back_is_reached_again(
    api: client.ApiClient, url: str, tokens: dict[str, str]
) -> None:
    apps = client.AppsV1Api(api)

    def scale(replicas: int) -> None:
        apps.patch_namespaced_deployment_scale("mlflow", "mlflow", {"spec": {"replicas": replicas}})

    scale(0)
    try:
        wait_for(lambda: call(url, f"{PAGE}/echo", tokens["ada"]).status_code == 503, "it still answers")
        assert "MLflow does not run now" in call(url, f"{PAGE}/echo", tokens["ada"]).text
    finally:
        scale(1)
    wait_for(lambda: call(url, f"{PAGE}/echo", tokens["ada"]).status_code == 200, "it is not reached again")


# The door itself.


def door_pods(core: client.CoreV1Api) -> list[Any]:
    found = core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=door").items
    return [pod for pod in found if pod.metadata.deletion_timestamp is None]


def test_no_request_fails_while_the_door_is_replaced(
    api: client.ApiClient, core: client.CoreV1Api, url: str, tokens: dict[str, str]
) -> None:
    before = door_pods(core)[0].metadata.uid
    failures: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answer = call(url, f"{PAGE}/echo", tokens["ada"])
                if answer.status_code != 200:
                    failures.append(f"{answer.status_code} {answer.text}")
            except requests.RequestException as error:
                failures.append(repr(error))
            time.sleep(0.1)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        restarted = {"metalworks.io/restarted": str(time.time())}
        patch = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
        client.AppsV1Api(api).patch_namespaced_deployment("door", NAMESPACE, patch)

        def replaced() -> bool:
            pods = core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=door").items
            return len(pods) == 1 and pods[0].metadata.uid != before

        wait_for(replaced, "the door is not replaced", 240)
        time.sleep(2)
    finally:
        done.set()
        asking.join()
    assert failures == []


def test_the_door_has_no_rights_that_it_does_not_need(core: client.CoreV1Api) -> None:
    pod = door_pods(core)[0]
    context = pod.spec.containers[0].security_context
    assert (context.read_only_root_filesystem, context.allow_privilege_escalation) == (True, False)
    assert context.capabilities.drop == ["ALL"]
    assert pod.spec.security_context.run_as_non_root
    assert "No such file" in run_in(
        core, pod.metadata.name, "ls", "/var/run/secrets/kubernetes.io/serviceaccount"
    )
    assert pod.status.container_statuses[0].restart_count == 0


def test_its_log_and_its_object_show_no_secret(
    core: client.CoreV1Api, url: str, tokens: dict[str, str]
) -> None:
    call(url, f"{PAGE}/echo?key=in-the-query", tokens["ada"])
    pod = door_pods(core)[0]
    shown = core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE) + str(pod)
    secret = core.read_namespaced_secret("door", NAMESPACE).data["door.json"]
    settings = json.loads(base64.b64decode(secret))
    assert f"mlflow ada GET {PAGE}/echo 200" in shown
    for hidden in (
        tokens["ada"],
        "in-the-query",
        "the-secret-of-the-page",
        settings["cookie_secret"],
        *(page["token"] for page in settings["pages"]),
    ):
        assert hidden not in shown


def test_it_is_small(core: client.CoreV1Api) -> None:
    """What it holds when nobody asks, after all that the other tests sent through."""
    found = run_in(core, door_pods(core)[0].metadata.name, "sh", "-c", "grep VmRSS /proc/[0-9]*/status")
    largest = max(int(line.split()[1]) for line in found.splitlines() if "VmRSS" in line)
    assert largest < 120 * 1024, found
