"""A service's life: restarts that pods do not notice, joins that are refused."""

from __future__ import annotations

import json

import pytest
from tests.support.waiting import wait_for

from .conftest import Cluster, Machine


@pytest.fixture(params=["server", "agent"])
def machine(request: pytest.FixtureRequest) -> Machine:
    found: Machine = request.getfixturevalue(request.param)
    return found


def containers(server: Machine, node: str) -> dict[str, str]:
    """The containers of a node's pods, by pod."""
    shown = server.run(f"k3s kubectl get pods -A --field-selector=spec.nodeName={node} -o json")
    return {
        pod["metadata"]["uid"]: status["containerID"]
        for pod in json.loads(shown)["items"]
        for status in pod["status"].get("containerStatuses", [])
        if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"
    }


def ready(server: Machine, node: str) -> bool:
    shown = server.answer(f"k3s kubectl wait --for=condition=Ready node/{node} --timeout=2s")
    return bool(shown.rc == 0)


RESTARTS = {"restart": "systemctl restart {unit}", "crash": "systemctl kill -s KILL --kill-whom=main {unit}"}


@pytest.mark.parametrize("how", RESTARTS)
def test_pods_outlive_the_service(machine: Machine, server: Machine, cluster: Cluster, how: str) -> None:
    name = f"{how}-{machine.unit}"
    address = cluster.pod(name, machine.node)
    before = containers(server, machine.node)
    main = machine.run(f"systemctl show -P MainPID {machine.unit}")
    machine.run(RESTARTS[how].format(unit=machine.unit))

    def is_back() -> bool:
        active = machine.answer(f"systemctl is-active {machine.unit}").rc == 0
        return active and machine.run(f"systemctl show -P MainPID {machine.unit}") != main

    wait_for(is_back, f"{machine.unit} did not come back")
    wait_for(lambda: ready(server, machine.node), f"{machine.node} is not Ready")
    after = containers(server, machine.node)
    assert {uid: after.get(uid) for uid in before} == before
    assert machine.run(f"curl -s --max-time 5 http://{address}:8080/").strip() == name


def test_nothing_but_pods_outlives_a_stop(agent: Machine, server: Machine) -> None:
    agent.run("systemctl stop k3s-agent")
    try:
        left = agent.run("ps -eo comm= | sort -u").split()
        assert not {"k3s", "kubelet", "kube-proxy", "containerd"} & set(left)
    finally:
        agent.start()
    wait_for(lambda: ready(server, agent.node), f"{agent.node} is not Ready")


JOINS = {
    "another secret": ("agent", {"token": "another-secret"}, "not authorized"),
    "the token of another cluster": ("agent", {"token": "K10" + "0" * 64 + "::server:secret"}, "CA hash"),
    "a name that is taken": ("agent", {"node-name": "{server}"}, "Node password rejected"),
    "a second server of a cluster with one": (
        "server",
        {"disable": ["traefik", "servicelb"], "flannel-backend": "host-gw", "cluster-cidr": "10.99.0.0/16"},
        "cluster-init|critical configuration",
    ),
}


@pytest.mark.parametrize(("role", "settings", "told"), JOINS.values(), ids=JOINS.keys())
def test_a_join_is_refused(
    server: Machine, agent: Machine, role: str, settings: dict[str, object], told: str
) -> None:
    config = agent.yaml("/etc/rancher/k3s/config.yaml")
    token = config.get("token") or agent.read(config["token-file"]).strip()
    joining = {"server": config["server"], "token": token, "node-name": agent.node, **settings}
    joining["node-name"] = str(joining["node-name"]).format(server=server.node)
    if "node-ip" in config:
        joining["node-ip"] = config["node-ip"]
    agent.write("/tmp/contract.yaml", json.dumps(joining))
    agent.run("systemctl stop k3s-agent")
    try:
        command = f"timeout 40 k3s {role} --config /tmp/contract.yaml"
        said = agent.run(f"{command} > /tmp/contract.log 2>&1", fails=True)
        said += agent.read("/tmp/contract.log")
        assert any(part in said for part in told.split("|")), said[-2000:]
    finally:
        agent.run("rm -f /tmp/contract.yaml /tmp/contract.log")
        agent.start()
    wait_for(lambda: ready(server, agent.node), f"{agent.node} is not Ready")
    agent.run("test ! -e /var/lib/rancher/k3s/server/db")


def test_a_deleted_node_may_come_back_as_another_machine(server: Machine, agent: Machine) -> None:
    secret = f"secret/{agent.node}.node-password.k3s"
    agent.run("systemctl stop k3s-agent")
    try:
        server.run(f"k3s kubectl delete node {agent.node}")
        gone = f"k3s kubectl get -n kube-system {secret} --ignore-not-found -o name"
        wait_for(lambda: server.run(gone) == "", "the password of the deleted node is still kept")
        agent.run("rm /etc/rancher/node/password")
    finally:
        agent.start()
    wait_for(lambda: ready(server, agent.node), f"{agent.node} is not Ready")
