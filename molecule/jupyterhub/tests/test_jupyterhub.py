"""The hub lets the right people in, keeps homes, and restarts for nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.artifacts import built_path
from tests.support.hub import Hub, address_of_hub, log_in
from tests.support.pods import run_in_pod
from tests.support.scenario import converge_again
from tests.support.waiting import wait_for

from kubernetes import client

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule" / "jupyterhub"
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
NAMESPACE = "jupyterhub"
TOKEN = hashlib.sha256(b"api").hexdigest()


@pytest.fixture(scope="module")
def hub_url(core: client.CoreV1Api) -> str:
    return address_of_hub(core)


@pytest.fixture(scope="module")
def hub(hub_url: str) -> Hub:
    return Hub(hub_url, TOKEN)


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        pytest.param("ada", "another-password", 302, id="changed_password_lets_in"),
        pytest.param("alan", "first-machine", 302, id="new_user_is_let_in"),
        pytest.param("ada", "first-programmer", 403, id="old_password_is_refused"),
        pytest.param("grace", "first-compiler", 403, id="user_who_left_is_refused"),
        pytest.param("nobody", "nobody", 403, id="unknown_user_is_refused"),
        pytest.param("ada", "", 403, id="empty_password_is_refused"),
    ],
)
def test_login(hub_url: str, name: str, password: str, status: int) -> None:
    assert log_in(hub_url, name, password) == status


def test_changes_of_users_restart_nothing() -> None:
    record = json.loads((EPHEMERAL / "hub-pods.json").read_text())
    assert len(record["before"]) == 2
    assert record["after"] == record["before"]


def test_user_who_left_is_gone_and_the_home_is_kept(hub: Hub, core: client.CoreV1Api) -> None:
    assert hub.ask("GET", "/users/grace").status_code == 404
    wait_for(
        lambda: (
            not [p for p in core.list_namespaced_pod(NAMESPACE).items if p.metadata.name == "jupyter-grace"]
        ),
        "the server of a user who left still runs",
    )
    claims = {claim.metadata.name for claim in core.list_namespaced_persistent_volume_claim(NAMESPACE).items}
    assert "claim-grace" in claims


PASSWORDS = {"ada": "another-password", "alan": "first-machine", "root-of-all": "administrates-it"}


def test_secret_holds_hashes_only(core: client.CoreV1Api) -> None:
    secret = core.read_namespaced_secret("hub-users", NAMESPACE).data
    hashes = {name: base64.b64decode(value).decode() for name, value in secret.items()}
    assert hashes.keys() == PASSWORDS.keys()
    for name, stored in hashes.items():
        scheme, n, r, p, salt, digest = stored.split("$")
        assert scheme == "scrypt"
        cost = {"n": int(n), "r": int(r), "p": int(p)}
        made = hashlib.scrypt(PASSWORDS[name].encode(), salt=base64.b64decode(salt), dklen=32, **cost)
        assert base64.b64decode(digest) == made, f"the hash of {name} is not that of the password"
        assert cost["n"] >= 2**14, "the hash is cheap to guess"
    assert len({stored.split("$")[4] for stored in hashes.values()}) == len(hashes), "a salt is used twice"


def test_no_object_of_the_cluster_holds_a_password(core: client.CoreV1Api) -> None:
    """Helm keeps the values of each revision in a Secret, gzipped and twice in base64."""
    for secret in core.list_namespaced_secret(NAMESPACE).items:
        for key, value in (secret.data or {}).items():
            content = base64.b64decode(value)
            if secret.type == "helm.sh/release.v1":
                content = gzip.decompress(base64.b64decode(content))
                assert b"hub_users.HubUsersAuthenticator" in content, "the record was not read"
            for password in PASSWORDS.values():
                assert password.encode() not in content, f"{secret.metadata.name}, {key}"


def test_admin_flag_follows_the_list(hub_url: str, hub: Hub) -> None:
    assert log_in(hub_url, "root-of-all", "administrates-it") == 302
    assert log_in(hub_url, "ada", "another-password") == 302
    users = {user["name"]: user["admin"] for user in hub.ask("GET", "/users").json()}
    assert users["root-of-all"] is True
    assert users["ada"] is False


def test_token_of_metalworks_grants_no_admin_rights(hub: Hub) -> None:
    assert hub.ask("PATCH", "/users/ada", admin=True).status_code == 403
    assert hub.ask("POST", "/shutdown").status_code == 403
    assert hub.ask("GET", "/users/ada/tokens").status_code in (403, 404)


@pytest.fixture(scope="module")
def running(hub: Hub, core: client.CoreV1Api) -> Any:
    hub.ask("POST", "/users/ada")
    hub.stop("ada")
    hub.start("ada", "small")
    return core.read_namespaced_pod("jupyter-ada", NAMESPACE)


def run_in(core: client.CoreV1Api, pod: str, *command: str) -> str:
    return run_in_pod(core, NAMESPACE, pod, *command).strip()


def test_server_is_what_the_choice_says(running: Any) -> None:
    container = running.spec.containers[0]
    assert container.resources.limits["memory"] == "314572800"  # 300M, as the spawner writes it
    assert container.image_pull_policy == "IfNotPresent"
    assert not container.security_context.allow_privilege_escalation
    assert container.security_context.run_as_user == 1000
    assert not running.spec.init_containers, "a container runs before the server, with more rights"
    labels = running.metadata.labels
    expected = {"app": "jupyterhub", "component": "singleuser-server", "release": "jupyterhub"}
    assert expected.items() <= labels.items()
    assert labels["hub.jupyter.org/network-access-hub"] == "true"


def test_user_is_not_root_and_has_no_token_of_the_cluster(running: Any, core: client.CoreV1Api) -> None:
    assert run_in(core, "jupyter-ada", "id", "-u") == "1000"
    assert "No such file" in run_in(
        core, "jupyter-ada", "ls", "/var/run/secrets/kubernetes.io/serviceaccount"
    )


def test_home_outlives_its_pod(running: Any, hub: Hub, core: client.CoreV1Api) -> None:
    mark = uuid.uuid4().hex
    run_in(core, "jupyter-ada", "sh", "-c", f"echo {mark} > /home/jovyan/mark")
    hub.stop("ada")
    hub.start("ada", "minimal")
    assert run_in(core, "jupyter-ada", "cat", "/home/jovyan/mark") == mark
    assert core.read_namespaced_pod("jupyter-ada", NAMESPACE).metadata.uid != running.metadata.uid


def test_hub_notices_that_a_pod_died(running: Any, hub: Hub, core: client.CoreV1Api) -> None:
    wait_for(lambda: hub.server_is_ready("ada"), "ada's server does not run")
    core.delete_namespaced_pod("jupyter-ada", NAMESPACE, grace_period_seconds=0)
    wait_for(lambda: not hub.servers("ada"), "the hub believes in a dead pod")


def test_servers_and_sessions_outlive_a_restart_of_the_hub(
    hub: Hub, core: client.CoreV1Api, hub_url: str
) -> None:
    hub.stop("ada")
    hub.start("ada", "small")
    uid = core.read_namespaced_pod("jupyter-ada", NAMESPACE).metadata.uid
    core.delete_collection_namespaced_pod(NAMESPACE, label_selector="component=hub")
    wait_for(lambda: not hub.answers(), "the hub does not stop", every=0.1)
    wait_for(hub.answers, "the hub does not come back")
    wait_for(lambda: hub.server_is_ready("ada"), "the hub has forgotten a server")
    assert core.read_namespaced_pod("jupyter-ada", NAMESPACE).metadata.uid == uid
    assert requests.get(f"{hub_url}/user/ada/api", timeout=10).status_code == 200
    hub.stop("ada")


@pytest.mark.long
def test_people_whom_another_authenticator_knows_are_left_alone(hub: Hub, hub_url: str) -> None:
    config = {
        "JupyterHub": {"authenticator_class": "dummy"},
        "DummyAuthenticator": {"password": "open-to-all"},
        "Authenticator": {"allow_all": True},
    }
    other = {"jupyterhub_users": [], "jupyterhub_values": {"hub": {"config": config}}}
    try:
        converge_again(SCENARIO, "cluster.yml", **other).check()
        wait_for(hub.answers, "the hub does not come back")
        assert log_in(hub_url, "somebody", "open-to-all") == 302
        assert log_in(hub_url, "somebody", "first-programmer") == 403
        assert converge_again(SCENARIO, "cluster.yml", **other).changed_nothing
        assert hub.ask("GET", "/users/somebody").status_code == 200
    finally:
        converge_again(SCENARIO, "cluster.yml").check()


def test_unknown_value_is_refused_by_its_name() -> None:
    helm = built_path("helm")
    chart = ROOT / "lab" / "charts" / "jupyterhub"
    for setting, word in {
        "singleuser.imge.name=x": "imge",
        "prePuller.hook.enabled=true": "prePuller",
    }.items():
        answer = subprocess.run(
            [helm, "template", "hub", chart, "--set", setting], capture_output=True, text=True
        )
        assert answer.returncode != 0
        assert word in answer.stderr
