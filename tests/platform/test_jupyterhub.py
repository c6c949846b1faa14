"""The hub behind its API: who may do what, and what survives."""

from __future__ import annotations

import base64
import secrets
import urllib.error
import urllib.request
from typing import Any

import pytest
from sandbox import Sandbox
from tests.support.waiting import wait_for

from kubernetes import client


@pytest.fixture(scope="module")
def namespace(platform: dict[str, Any]) -> str:
    return str(platform["namespace"])


def test_hub_answers_at_every_node(platform: dict[str, Any]) -> None:
    port = platform["node_port"]
    if not port:
        pytest.skip("the hub of this inventory has no node port")
    for address in platform["nodes"].values():
        with urllib.request.urlopen(f"http://{address}:{port}/hub/api/", timeout=10) as answer:
            assert b'"version"' in answer.read()


def test_api_refuses_without_a_token(platform: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{platform['hub_url'].rstrip('/')}/hub/api/users", timeout=10)
    assert refused.value.code == 403


def test_passwords_are_kept_as_hashes_only(
    core: client.CoreV1Api, namespace: str, platform: dict[str, Any]
) -> None:
    stored = core.read_namespaced_secret("hub-users", namespace).data
    assert set(stored) == {user["name"] for user in platform["users"]}
    for user in platform["users"]:
        text = base64.b64decode(stored[user["name"]]).decode()
        assert text.startswith("scrypt$")
        assert user["password"] not in text


def test_the_objects_are_those_of_zero_to_jupyterhub(
    api: Any, core: client.CoreV1Api, namespace: str
) -> None:
    apps, networking = client.AppsV1Api(api), client.NetworkingV1Api(api)
    assert {"hub", "proxy"} <= {d.metadata.name for d in apps.list_namespaced_deployment(namespace).items}
    assert {"hub", "proxy-api", "proxy-public"} <= {
        s.metadata.name for s in core.list_namespaced_service(namespace).items
    }
    assert {"hub", "proxy", "singleuser"} <= {
        p.metadata.name for p in networking.list_namespaced_network_policy(namespace).items
    }


USER_LABELS = {
    "app": "jupyterhub",
    "release": "jupyterhub",
    "component": "singleuser-server",
    "hub.jupyter.org/network-access-hub": "true",
}


@pytest.fixture(scope="module")
def like_a_user(api: Any, platform: dict[str, Any]) -> Any:
    """A pod with the labels of a user's server, in the hub's namespace."""
    sandbox = Sandbox(api, platform)
    sandbox.namespace = platform["namespace"]
    name = f"policy-{secrets.token_hex(3)}"
    sandbox.pod(name, labels=USER_LABELS)
    yield sandbox, name
    sandbox.delete(name)


def test_user_pod_reaches_the_hub_and_little_else(
    like_a_user: Any, core: client.CoreV1Api, namespace: str, platform: dict[str, Any]
) -> None:
    sandbox, name = like_a_user
    assert "version" in sandbox.fetch(name, "hub", 8081, "/hub/api/")
    proxy_api = core.read_namespaced_service("proxy-api", namespace).spec.cluster_ip
    node = next(iter(platform["nodes"].values()))
    # Something listens there: who gets through has an answer, an error of HTTP too.
    for address, port in ((proxy_api, 8001), (node, 10250)):
        blocked = sandbox.fetch(name, address, port, "/api/routes", seconds=5)
        assert "URLError" in blocked or "timeout" in blocked.lower(), f"{address}:{port}: {blocked}"


def test_user_pod_is_not_reached_by_its_neighbours(like_a_user: Any, sandbox: Sandbox) -> None:
    hub_sandbox, name = like_a_user
    address = hub_sandbox.core.read_namespaced_pod(name, hub_sandbox.namespace).status.pod_ip
    sandbox.pod("neighbour")
    wait_for(
        lambda: (
            "refused" in (found := sandbox.fetch("neighbour", address, seconds=5).lower())
            or "timed out" in found
        ),
        "a pod of another namespace reaches a user's pod",
        20,
    )
