"""Faults of the hub and of the logs, caused on purpose: Alertmanager has them in time.

The scenario `monitoring` follows alerts of the cluster and its nodes up to a receiver.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from ansible.module_utils.metalworks.monitoring.alertmanager import Alertmanager
from tests.support.alerting import result
from tests.support.hub import Browser
from tests.support.queries import rules, seconds
from tests.support.waiting import wait_for

from kubernetes import client

pytestmark = [pytest.mark.long, pytest.mark.parts("monitoring")]

RULES = {rule["alert"]: rule for part in ("monitoring", "logging", "jupyterhub") for rule in rules(part)}
# From the fault until Alertmanager has it, beyond the time that the rule itself waits.
DELAY = 30
# From the end of a fault until Alertmanager forgets it: a scrape, an evaluation, and the time that a program
# needs until it answers again.
END_DELAY = 120
NOWHERE = "metalworks.example/nowhere"
# Of one core: a page of the hub then takes a good part of a second.
LITTLE = "16m"
Said = Callable[..., None]


@pytest.fixture
def said(cluster: Any, platform: dict[str, Any]) -> Iterator[Said]:
    """Wait until Alertmanager has an alert, or has it no more, and hold it to its time."""
    with Alertmanager.opened(cluster, platform["monitoring_namespace"]) as alerts:

        def wait(alert: str, since: float, fires: bool = True) -> None:
            most = seconds(RULES[alert].get("for", "0s")) + DELAY if fires else END_DELAY
            wait_for(
                lambda: bool(alerts.told_of({"alertname": alert})) == fires,
                f"Alertmanager {'has no' if fires else 'still has'} {alert}",
                seconds=since + most + 60 - time.time(),
                every=1,
            )
            took = time.time() - since
            print(f"{alert}: {'firing' if fires else 'resolved'} after {took:.0f} s")
            assert took <= most, f"Alertmanager took {took:.0f} s for {alert}"

        yield wait


@pytest.fixture(scope="module")
def apps(api: client.ApiClient) -> client.AppsV1Api:
    return client.AppsV1Api(api)


@pytest.mark.parts("logging")
def test_stopped_collectors_are_told(apps: client.AppsV1Api, platform: dict[str, Any], said: Said) -> None:
    namespace = platform["logging_namespace"]
    [collectors] = apps.list_namespaced_daemon_set(namespace).items

    def only_on(label: str | None) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": {NOWHERE: label}}}}}
        apps.patch_namespaced_daemon_set(collectors.metadata.name, namespace, patch)

    def running() -> int:
        found = apps.read_namespaced_daemon_set(collectors.metadata.name, namespace)
        return int(found.status.number_ready or 0)

    only_on("yes")
    try:
        wait_for(lambda: not running(), "the collectors are not stopped", every=1)
        said("LogCollectorDown", time.time())
    finally:
        only_on(None)
    wait_for(lambda: running() == len(platform["nodes"]), "the collectors do not come back", every=1)
    said("LogCollectorDown", time.time(), fires=False)


@pytest.mark.parts("jupyterhub")
def test_servers_that_cannot_start_are_told(
    core: client.CoreV1Api, platform: dict[str, Any], said: Said
) -> None:
    """No pod of a user may be made. That the alert ends takes half an hour, for which it looks back."""
    user, hub = platform["users"][0], platform["hub_url"].rstrip("/")
    browser = Browser(lambda path: hub + path)
    browser.log_in(user["name"], user["password"])
    namespace = platform["namespace"]

    def ask(method: str, path: str = "", **options: Any) -> requests.Response:
        token = {"X-XSRFToken": browser.xsrf("/hub/")}
        return browser.fetch(f"/hub/api/users/{user['name']}{path}", method, headers=token, **options)

    def idle() -> bool:
        """Whether the user has no server, nor one that is being started or stopped."""
        return not ask("GET").json()["servers"]

    ask("DELETE", "/server")
    wait_for(idle, "the user's server does not stop")
    tiny = {"limits": [{"type": "Container", "max": {"memory": "8Mi"}}]}
    core.create_namespaced_limit_range(namespace, {"metadata": {"name": "tiny"}, "spec": tiny})
    try:
        for _ in range(2):
            ask("POST", "/server", json={})
            wait_for(idle, "the start does not end", every=1)
        said("SpawnFailures", time.time())
    finally:
        core.delete_namespaced_limit_range("tiny", namespace)


def hubs(apps: client.AppsV1Api, namespace: str) -> int:
    """How many hubs are ready."""
    return int(apps.read_namespaced_deployment("hub", namespace).status.ready_replicas or 0)


@pytest.mark.parts("jupyterhub")
def test_a_hub_that_is_away_is_told(apps: client.AppsV1Api, platform: dict[str, Any], said: Said) -> None:
    namespace = platform["namespace"]

    def scale(replicas: int) -> None:
        apps.patch_namespaced_deployment_scale("hub", namespace, {"spec": {"replicas": replicas}})

    scale(0)
    try:
        wait_for(lambda: not hubs(apps, namespace), "the hub does not stop", every=1)
        said("HubDown", time.time())
    finally:
        scale(1)
    wait_for(lambda: hubs(apps, namespace), "the hub does not come back", 180, every=1)
    said("HubDown", time.time(), fires=False)


@contextlib.contextmanager
def asked(url: str) -> Iterator[None]:
    """Ask for a page again and again, as people do who wait for it. More than one would starve the probes."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.1):
            with contextlib.suppress(requests.RequestException):
                requests.get(url, timeout=30)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parts("jupyterhub")
def test_an_overloaded_hub_is_told(
    apps: client.AppsV1Api, core: client.CoreV1Api, platform: dict[str, Any], prometheus: str, said: Said
) -> None:
    """It has far less processor time than people ask of it."""
    namespace = platform["namespace"]
    [hub] = core.list_namespaced_pod(namespace, label_selector="component=hub").items
    processor = {"requests": {"cpu": LITTLE}, "limits": {"cpu": LITTLE}}
    little = {"containers": [{"name": "hub", "resources": processor}]}
    core.patch_namespaced_pod_resize(hub.metadata.name, namespace, {"spec": little})
    expr = RULES["HubEventLoopBlocked"]["expr"]
    try:
        with asked(f"{platform['hub_url'].rstrip('/')}/hub/login"):
            # The rule looks back for five minutes, in which the good times before the fault count as well.
            wait_for(lambda: result(prometheus, expr), "the hub bears the load", 300, every=1)
            said("HubEventLoopBlocked", time.time())
    finally:
        # A limit can be changed in place, and not taken away.
        core.delete_namespaced_pod(hub.metadata.name, namespace)
    wait_for(lambda: hubs(apps, namespace), "the hub does not come back", 180, every=1)
