"""Logs are found soon, by all that people ask for, and only who is meant to reaches the store."""

from __future__ import annotations

import base64
import gzip
import json
import statistics
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import testinfra
from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.kubernetes.forward import forwarded
from ansible.module_utils.metalworks.logging.search import parse
from ansible.module_utils.metalworks.logging.store import new_lines
from tests.support.logs import ACCESS, NAMESPACE, WRITERS, find, gone, search, store, write
from tests.support.playbooks import ROOT, play
from tests.support.pods import run_in_pod
from tests.support.scenario import CONTEXT, INVENTORIES, KUBECONFIG
from tests.support.waiting import wait_for

from kubernetes import client

testinfra_hosts = ["ansible://k3s_server"]

STORE = "app.kubernetes.io/name=victoria-logs-single"
SCENARIO = Path(__file__).resolve().parents[1]


@pytest.fixture
def mark() -> str:
    """A word that only this test's lines have."""
    return f"mark{uuid4().hex[:12]}"


@pytest.fixture
def login(core: client.CoreV1Api) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of the login, and what it accepts: the users' passwords and the door's secret."""
    data = core.read_namespaced_secret("logs-logins", NAMESPACE).data
    found = json.loads(base64.b64decode(data["auth.yml"]))
    secrets = {each["username"]: each["password"] for each in found["users"]}
    header = found["unauthorized_user"]["url_map"][0]["src_headers"][0]
    secrets["door"] = header.partition(": ")[2]
    api = KubernetesApi(str(KUBECONFIG), CONTEXT)
    with forwarded(api, NAMESPACE, STORE, 8427) as address:
        yield f"http://{address}", secrets


def test_a_line_is_found_by_all_that_people_ask_for(core: client.CoreV1Api, mark: str) -> None:
    line = {
        "message": f"{mark} it fails",
        "level": "error",
        "model_version": "7",
        "request_id": f"r{mark}",
        "user": "ada",
    }
    write(core, "speaker", f"echo '{json.dumps(line)}'; sleep 300")
    (found,) = find(f"namespace={WRITERS} words={mark}")
    assert found.text == f"{mark} it fails"
    assert found.source == f"{WRITERS}/speaker/sh"
    for asked in (
        "pod=speak",
        "container=sh",
        "user=ada",
        "level=warning",
        "model_version=7",
        f"request_id=r{mark}",
        "level=error",
    ):
        assert [each.text for each in search(f"{asked} words='{mark} it'")] == [found.text], asked
    for other in ("pod=peak", "user=grace", "model_version=8", "namespace=default", "request_id=r"):
        assert search(f"{other} words={mark}") == [], other
    gone(core, "speaker")


def test_a_user_is_found_by_the_label_of_the_server(core: client.CoreV1Api, mark: str) -> None:
    write(core, "jupyter-ada", f"echo {mark}; sleep 300", labels={"hub.jupyter.org/username": "ada"})
    assert find(f"user=ada words={mark}")
    assert search(f"user=grace words={mark}") == []
    gone(core, "jupyter-ada")


def test_what_each_node_says_is_found(mark: str) -> None:
    inventory = str(INVENTORIES / "cluster.yml")
    for name in ("server-1", "agent-1"):
        host = testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory)
        host.check_output(f"logger --tag nobody {mark}")
        # sudo writes the command into the journal as well.
        (line,) = wait_for(
            lambda name=name: [each for each in search(f"node={name} words={mark}") if each.text == mark],
            f"the line of {name} is not found",
            120,
            every=1,
        )
        assert line.source.split()[0] == name
    assert find("node=server-1 unit=k3s.service since=1d limit=1"), "k3s writes to the journal"


def test_a_line_is_found_within_seconds(core: client.CoreV1Api, mark: str, record_property: Any) -> None:
    """Of a pod that writes each second; a collector looks at a silent pod's file more and more rarely."""
    write(core, "ticker", f"while true; do echo {mark} tick; sleep 1; done")
    find(f"words={mark}")
    wanted = parse(f"words={mark} limit=1000")
    delays, end = [], time.monotonic() + 40
    with store() as found:
        known = set(found.lines(wanted, 120))
        while time.monotonic() < end:
            for line in new_lines(found.lines(wanted, 120), known):
                written = datetime.fromisoformat(f"{line.time[:26].rstrip('Z')}+00:00")
                delays.append(time.time() - written.timestamp())
            time.sleep(0.2)
    gone(core, "ticker")
    record_property("median_seconds", statistics.median(delays))
    assert len(delays) > 20
    assert statistics.median(delays) <= 3


@pytest.mark.parametrize(("who", "path", "allowed"), ACCESS)
def test_each_login_reaches_what_is_its_own(
    login: tuple[str, dict[str, str]], who: str, path: str, allowed: bool
) -> None:
    address, secrets = login
    headers = {"X-Metalworks-Door": secrets["door"]} if who == "door" else {}
    auth = (who, secrets[who]) if who in ("reader", "writer") else None
    method = "POST" if path.startswith("/insert") else "GET"
    answer = requests.request(method, f"{address}{path}", auth=auth, headers=headers, timeout=30)
    assert (answer.status_code < 400) is allowed, (answer.status_code, answer.text[:300])


def test_a_wrong_secret_of_the_door_opens_nothing(login: tuple[str, dict[str, str]]) -> None:
    address, secrets = login
    wrong = {"X-Metalworks-Door": secrets["door"][:-1]}
    assert requests.get(f"{address}/select/vmui/", headers=wrong, timeout=30).status_code >= 400


@pytest.mark.parametrize(
    ("namespace", "port", "answers"),
    [("watchers", 9428, True), (WRITERS, 9428, False), (WRITERS, 8427, True)],
    ids=["measurements", "no_way_past_the_login", "the_login_is_open"],
)
def test_only_who_is_meant_to_reaches_a_port(
    core: client.CoreV1Api, namespace: str, port: int, answers: bool
) -> None:
    write(core, "asks", "sleep 600", namespace)
    wait_for(
        lambda: core.read_namespaced_pod("asks", namespace).status.phase == "Running", "the pod does not run"
    )
    # By its address: the static busybox cannot look names up.
    address = core.read_namespaced_service("logs", NAMESPACE).spec.cluster_ip
    command = f"echo | nc -w 3 {address} {port} 2>&1"

    def reached() -> bool:
        said = run_in_pod(core, namespace, "asks", "sh", "-c", command)
        # A policy lets packets vanish, or refuses the connection.
        assert said.startswith("HTTP/1.1 400") or "timed out" in said or "can't connect" in said, said
        return said.startswith("HTTP")

    # A policy needs a moment for a new pod.
    wait_for(lambda: reached() is answers, f"port {port} answers: {not answers}", 60, every=2)
    gone(core, "asks", namespace)


def test_no_password_is_in_the_release_or_readable_by_all(host: Any, core: client.CoreV1Api) -> None:
    data = core.read_namespaced_secret("logs-logins", NAMESPACE).data
    found = json.loads(base64.b64decode(data["auth.yml"]))
    passwords = [each["password"] for each in found["users"]]
    releases = core.list_namespaced_secret(NAMESPACE, label_selector="owner=helm").items
    assert releases
    for each in releases:
        text = base64.b64decode(base64.b64decode(each.data["release"]))
        assert not [word for word in passwords if word.encode() in gzip.decompress(text)]
    settings = host.file("/etc/systemd/journal-upload.conf.d/metalworks.conf")
    assert (settings.user, settings.group, settings.mode) == ("root", "systemd-journal", 0o640)
    with host.sudo():
        # A search for one on the machine would find its own command line.
        shown = host.check_output("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true")
        assert not [word for word in passwords if word in shown]


def test_pods_have_no_rights_that_they_do_not_need(core: client.CoreV1Api) -> None:
    for pod in core.list_namespaced_pod(NAMESPACE).items:
        for container in pod.spec.containers:
            rights = container.security_context
            assert rights.capabilities.drop == ["ALL"] and rights.read_only_root_filesystem
            assert container.resources.requests and container.resources.limits["memory"]


def test_the_playbook_prints_lines(core: client.CoreV1Api, mark: str) -> None:
    write(core, "speaker", f"echo {mark} is printed; sleep 300")
    find(f"words={mark}")
    done = play(
        ROOT / "playbooks" / "logs.yml",
        INVENTORIES / "cluster.yml",
        metalworks_parts=["logging"],
        logging_search=f"namespace={WRITERS} words='{mark} is'",
    ).check()
    assert f"{WRITERS}/speaker/sh  {mark} is printed" in done.output
    assert done.changed_nothing
    gone(core, "speaker")


def test_another_password_reaches_the_login_without_a_restart(core: client.CoreV1Api) -> None:
    def pods() -> list[str]:
        return sorted(each.metadata.uid for each in core.list_namespaced_pod(NAMESPACE).items)

    before = pods()
    play(
        SCENARIO / "converge.yml", INVENTORIES / "cluster.yml", logging_reader_password="another1" * 4
    ).check()
    api = KubernetesApi(str(KUBECONFIG), CONTEXT)

    def accepted() -> bool:
        with forwarded(api, NAMESPACE, STORE, 8427) as address:
            answer = requests.get(
                f"http://{address}/select/logsql/query",
                params={"query": "*", "limit": "1"},
                auth=("reader", "another1" * 4),
                timeout=30,
            )
            return answer.status_code == 200

    wait_for(accepted, "the new password is not accepted", 90, every=2)
    assert pods() == before
